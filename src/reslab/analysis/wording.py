"""Verdicts in sentences: number, interval, n, budget and rate are always said."""

from collections.abc import Sequence

from reslab.analysis.contrasts import Contrast, Rescue
from reslab.analysis.gaps import Gap
from reslab.analysis.onset import Onset


def net(shortcut: str) -> str:
    """A plain net has no shortcut."""
    return "plain" if shortcut == "none" else shortcut


def budget(steps: object, rate: str) -> str:
    """What every verdict is limited to."""
    return f"{steps:,} steps, {rate}"


def number(points: float, lower: float | None, upper: float | None) -> str:
    """Points with their interval; a bound that n cannot give is said to be open."""
    if lower is None and upper is None:
        return f"{points:+.2f} points"
    low, high = ("open" if bound is None else f"{bound:+.2f}" for bound in (lower, upper))
    return f"{points:+.2f} points [{low}, {high}]"


def seeds(n: int, look: int | None, now: int | None = None) -> str:
    """How many, and whether they were looked at as declared."""
    more = f", {now} by now" if now is not None and now > n else ""
    return f"n = {n}{'' if look else ', interim'}{more}"


def of_gap(gap: Gap, context: str) -> str:
    """One depth's verdict at its budget."""
    said = number(gap.gap_points, gap.lower_points, gap.upper_points)
    failures = f"; {gap.failures} failed run{'s' * (gap.failures != 1)} counted as chance" if gap.failures else ""
    needed = f"; {gap.needed}" if gap.needed else ""
    return (
        f"{net(gap.shortcut)} depth {gap.depth} at {context}: {gap.verdict}, {said} of clean training error against "
        f"depth {gap.against} ({seeds(gap.n, gap.look, gap.n_now)}, {gap.method}){failures}{needed}"
    )


def of_rescue(rescue: Rescue, context: str) -> str:
    """What a shortcut takes away from the plain net's gap."""
    said = number(rescue.rescue_points, rescue.lower_points, rescue.upper_points)
    if rescue.fraction is None:
        share = "share of the plain gap not defined"
    else:
        share = (
            f"{100 * rescue.fraction:.0f} % [{100 * (rescue.fraction_lower or 0):.0f}, "
            f"{100 * (rescue.fraction_upper or 0):.0f}] of the plain gap (Fieller)"
        )
    return (
        f"{rescue.shortcut} depth {rescue.depth} against {rescue.reference} at {context}: {rescue.verdict}, {said}, "
        f"{share} ({seeds(rescue.n, rescue.look)}, {rescue.method})"
    )


def of_contrast(contrast: Contrast, context: str) -> str:
    """Plain against a shortcut at one depth, with what pairing by seed gained."""
    said = number(contrast.difference_points, contrast.lower_points, contrast.upper_points)
    if contrast.correlation is None:
        pairs = "seed correlation not defined"
    else:
        narrower = f"pairing makes the interval {contrast.pairing:.2f} x narrower"
        pairs = f"seed correlation {contrast.correlation:+.2f}, {narrower}"
    return (
        f"plain less {contrast.shortcut} at depth {contrast.depth}, {context}: {said} "
        f"({seeds(contrast.n, contrast.look)}, {contrast.method}; {pairs})"
    )


def whether(gaps: Sequence[Gap], context: str) -> tuple[str, str]:
    """Word and sentence of the badge: the deepest decided depth of each shortcut, the plain net first."""
    said, word = [], "undecided"
    for shortcut in sorted({gap.shortcut for gap in gaps}, key=lambda name: (name != "none", name)):
        own = telling([gap for gap in gaps if gap.shortcut == shortcut])
        number_ = number(own.gap_points, own.lower_points, own.upper_points)
        said.append(
            f"{net(shortcut)} {own.verdict}: {number_}, depth {own.depth} against {own.against}, "
            f"{seeds(own.n, own.look)}"
        )
        word = f"{net(shortcut)} {own.verdict}" if len(said) == 1 else word
    return word, f"at {context}: {'; '.join(said)}"


def telling(gaps: Sequence[Gap]) -> Gap:
    """The row that speaks for a shortcut: the deepest that degrades, else the deepest undecided, else the deepest."""
    for wanted in ("degrades", "undecided", "does not degrade"):
        found = [gap for gap in gaps if gap.verdict == wanted]
        if found:
            return max(found, key=lambda gap: gap.depth)
    raise AssertionError("no gap to tell of")


def when(onsets: Sequence[Onset], context: str) -> tuple[str, str]:
    """Word and sentence of the badge."""
    ordered = sorted(onsets, key=lambda found: (found.shortcut != "none", found.shortcut))
    first = ordered[0]
    word = f"({first.after}, {first.onset}]" if first.onset else "no onset found"
    return word, f"at {context}: " + "; ".join(f"{net(found.shortcut)}: {found.sentence}" for found in ordered)
