"""From which depth on: the interval between the last depth that surely does not degrade and the first that does."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from reslab.analysis.gaps import DEGRADES, FINE, UNDECIDED, Gap


@dataclass(frozen=True)
class Onset:
    """Degradation begins in (after, onset]; `onset` None: no depth is known to degrade, `after` None: no lower end."""

    shortcut: str
    after: int | None
    onset: int | None
    undecided: tuple[int, ...]
    sentence: str


def onset(shortcut: str, depths: Sequence[int], gaps: Sequence[Gap], *, begun: bool) -> Onset:
    """From the verdicts of one shortcut over the depths of its family, rising; a depth without one is undecided.

    The shallowest has nothing to degrade from; `begun`: it has results. Undecided depths widen the interval.
    """
    verdicts = {gap.depth: gap.verdict for gap in gaps if gap.shortcut == shortcut}
    deeper = [(depth, verdicts.get(depth, UNDECIDED)) for depth in depths[1:]]
    first = next((depth for depth, verdict in deeper if verdict == DEGRADES), None)
    after = depths[0] if begun else None
    for depth, _ in takewhile(lambda item: begun and item[1] == FINE, deeper):
        after = depth
    between = tuple(d for d, verdict in deeper if verdict == UNDECIDED and (first is None or d < first))
    unsure = f" ({_listed(between)} undecided)" if between else ""
    if first is not None:
        low = "?" if after is None else after
        sentence = f"degradation begins in ({low}, {first}]{unsure}"
    elif not between:
        sentence = f"no degradation up to depth {after}"
    else:
        known = f"fine up to {after}" if after not in (None, depths[0]) else f"nothing is known beyond {depths[0]}"
        sentence = f"no depth is known to degrade: {known}{unsure}"
    return Onset(shortcut, after, first, between, sentence)


def _listed(depths: Sequence[int]) -> str:
    """Names a few, counts many."""
    few = len(depths) <= 4
    return ", ".join(map(str, depths)) if few else f"{len(depths)} depths from {depths[0]} to {depths[-1]}"
