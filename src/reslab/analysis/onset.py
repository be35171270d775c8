"""From which depth on: the interval between the last depth that surely does not degrade and the first that does."""

from collections.abc import Sequence
from dataclasses import dataclass

from reslab.analysis.gaps import DEGRADES, FINE, UNDECIDED, Gap


@dataclass(frozen=True)
class Onset:
    """Degradation begins in (after, onset]; None: no depth degrades."""

    shortcut: str
    after: int
    onset: int | None
    undecided: tuple[int, ...]
    sentence: str


def onset(shortcut: str, shallowest: int, gaps: Sequence[Gap]) -> Onset:
    """From the verdicts of one shortcut. The shallowest depth has nothing to degrade from; undecided ones widen."""
    ordered = sorted((gap for gap in gaps if gap.shortcut == shortcut), key=lambda gap: gap.depth)
    first = next((gap.depth for gap in ordered if gap.verdict == DEGRADES), None)
    after = shallowest
    for gap in ordered:
        if gap.verdict != FINE:
            break
        after = gap.depth
    between = tuple(g.depth for g in ordered if g.verdict == UNDECIDED and (first is None or g.depth < first))
    unsure = f" ({_listed(between)} undecided)" if between else ""
    fine = f"fine up to {after}" if after > shallowest else f"nothing is known beyond {shallowest}"
    if first is not None:
        sentence = f"degradation begins in ({after}, {first}]{unsure}"
    elif not between and ordered:
        sentence = f"no degradation up to depth {after}"
    else:
        sentence = f"no depth is known to degrade: {fine}{unsure}"
    return Onset(shortcut, after, first, between, sentence)


def _listed(depths: Sequence[int]) -> str:
    """Names a few, counts many."""
    few = len(depths) <= 4
    return ", ".join(map(str, depths)) if few else f"{len(depths)} depths from {depths[0]} to {depths[-1]}"
