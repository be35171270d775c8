"""Verdicts in sentences: number, interval, n, budget and rate are always said."""

from collections.abc import Iterable, Sequence

from reslab.analysis.contrasts import RESCUES, Contrast, Rescue
from reslab.analysis.gaps import DEGRADES, FINE, UNDECIDED, Gap
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
    failures = f"; {gap.failures} run{'s' * (gap.failures != 1)} counted as chance" if gap.failures else ""
    after = f"; {gap.needed}" if gap.needed else failures
    return (
        f"{net(gap.shortcut)} depth {gap.depth} at {context}: {gap.verdict}, {said} of clean training error against "
        f"depth {gap.against} ({seeds(gap.n, gap.look, gap.n_now)}, {gap.method}){after}"
    )


def share(rescue: Rescue) -> str:
    """Part of the plain gap that a shortcut takes away."""
    if rescue.fraction is None or rescue.fraction_lower is None or rescue.fraction_upper is None:
        return "share of the plain gap not defined"
    part, low, high = (round(100 * value) for value in (rescue.fraction, rescue.fraction_lower, rescue.fraction_upper))
    return f"{part} % [{low}, {high}] of the plain gap (Fieller, 95 %)"


def of_rescue(rescue: Rescue, context: str) -> str:
    """What a shortcut takes away from the plain net's gap."""
    said = number(rescue.rescue_points, rescue.lower_points, rescue.upper_points)
    return (
        f"{rescue.shortcut} depth {rescue.depth} against {rescue.reference} at {context}: {rescue.verdict}, {said}, "
        f"{share(rescue)} ({seeds(rescue.n, rescue.look)}, {rescue.method})"
    )


def of_contrast(contrast: Contrast, context: str) -> str:
    """Plain against a shortcut at one depth, with what pairing by seed gained."""
    said = number(contrast.difference_points, contrast.lower_points, contrast.upper_points)
    if contrast.correlation is None or contrast.pairing is None:
        pairs = "seed correlation not defined"
    else:
        width = f"the paired interval is {1 / contrast.pairing:.2f} x as wide as the unpaired one"
        pairs = f"seed correlation {contrast.correlation:+.2f}, {width}"
    return (
        f"plain less {contrast.shortcut} at depth {contrast.depth}, {context}: {said} "
        f"({seeds(contrast.n, contrast.look)}, {contrast.method}; {pairs})"
    )


def whether(gaps: Sequence[Gap], rescues: Sequence[Rescue]) -> tuple[str, list[str]]:
    """Word and lines of the badge: the telling depth of each shortcut, the plain net first; then what is rescued."""
    lines = []
    for shortcut in ordered(gap.shortcut for gap in gaps):
        own = telling([gap for gap in gaps if gap.shortcut == shortcut])
        said = number(own.gap_points, own.lower_points, own.upper_points)
        kind = " (optimisation: training error itself rises)" if own.verdict == DEGRADES else ""
        lines.append(f"{net(shortcut)} {own.verdict}: {said}, depth {own.depth} against {own.against}{kind}")
    for shortcut in ordered(rescue.shortcut for rescue in rescues):
        lines += _rescued(shortcut, [rescue for rescue in rescues if rescue.shortcut == shortcut])
    return lines[0].partition(":")[0], lines


def _rescued(shortcut: str, rescues: Sequence[Rescue]) -> list[str]:
    """The deepest depth that is rescued, and every deeper one, which is not known to be; no line where none is."""
    sure = [rescue for rescue in rescues if rescue.verdict == RESCUES]
    if not sure:
        return []
    deepest = max(sure, key=lambda rescue: rescue.depth)
    part = f"takes away {share(deepest)} at depth {deepest.depth}"
    said = part if deepest.fraction is not None else f"rescues depth {deepest.depth}, {share(deepest)}"
    deeper = sorted((r for r in rescues if r.depth > deepest.depth), key=lambda rescue: rescue.depth)
    beyond = [f", at depth {rescue.depth} {rescue.verdict}, {share(rescue)}{_broken(rescue)}" for rescue in deeper]
    return [f"{shortcut} {said}{''.join(beyond)}"]


def _broken(rescue: Rescue) -> str:
    return " (runs failed)" if "sign flips" in rescue.method else ""


def telling(gaps: Sequence[Gap]) -> Gap:
    """The row that speaks for a shortcut: the deepest that degrades, else the deepest undecided, else the deepest."""
    for wanted in (DEGRADES, UNDECIDED, FINE):
        found = [gap for gap in gaps if gap.verdict == wanted]
        if found:
            return max(found, key=lambda gap: gap.depth)
    raise AssertionError("no gap to tell of")


def when(onsets: Sequence[Onset]) -> tuple[str, list[str]]:
    """Word and lines of the badge: the word is the plain net's, or that of the only shortcuts there are."""
    found = {made.shortcut: made for made in onsets}
    lines = [f"{net(shortcut)}: {found[shortcut].sentence}" for shortcut in ordered(found)]
    first = found[ordered(found)[0]]
    name = net(first.shortcut)
    return f"{name}: ({first.after}, {first.onset}]" if first.onset else f"{name}: no onset found", lines


def ordered(shortcuts: Iterable[str]) -> list[str]:
    """Each once, plain first."""
    return sorted(set(shortcuts), key=lambda name: (name != "none", name))
