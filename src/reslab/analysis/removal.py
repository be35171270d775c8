"""The cells that one intervention is judged by, and the two families of verdicts: the shares, and the harm done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reslab.analysis.fieller import Share, permuted_share
from reslab.analysis.gaps import compare
from reslab.analysis.intervals import Comparison
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import Key, Look, Sample, Settled, settle

HALF = 0.5  # of the gap


@dataclass(frozen=True)
class Cells:
    """Deep and shallow nets without and with an intervention; the shallow one with it may never have been run."""

    deep: Sample
    changed: Sample
    shallow: Sample
    beside: Sample | None

    @property
    def ready(self) -> int:
        """Seeds, from the first planned one on, that the three cells of a share have."""
        return min(cell.ready for cell in (self.deep, self.changed, self.shallow))

    def first(self, n: int) -> "Cells":
        """Of the first n seeds."""
        beside = self.beside.first(n) if self.beside else None
        return Cells(self.deep.first(n), self.changed.first(n), self.shallow.first(n), beside)

    def share(self) -> Share | Comparison | None:
        """Fieller's; where runs failed by exact permutation; None below two seeds or where neither is defined."""
        cells = (self.deep, self.changed, self.shallow)
        if min(len(cell.values) for cell in cells) < 2:
            return None
        if any(cell.failures for cell in cells):
            return permuted_share(*(cell.values for cell in cells))
        return Share.of(*(cell.values for cell in cells), floor=max(cell.floor for cell in cells))


def settle_shares(keys: Sequence[Key], cells: Mapping[Key, Cells], study: Study) -> dict[Key, Settled]:
    """Shares above and below one half; all planned interventions and depths are one family, with a share or without."""
    looks = []
    for n in study.looks:
        made = {key: own.first(n).share() for key, own in cells.items() if own.ready >= n}
        found: dict[Key, Sequence[Comparison]] = {key: [share] if (share := made.get(key)) else [] for key in keys}
        looks.append(Look(n, found, dict.fromkeys(keys, 1)))
    return settle(looks, planned=len(study.looks), margin=HALF)


def settle_harms(keys: Sequence[Key], cells: Mapping[Key, Cells], study: Study) -> dict[Key, Settled]:
    """Rises of the shallow error above the margin; keys are interventions with shallow depths, one family."""
    looks = []
    for n in study.looks:
        found: dict[Key, Sequence[Comparison]] = dict.fromkeys(keys, ())
        for key, own in cells.items():
            if own.beside and min(own.beside.ready, own.shallow.ready) >= n:
                found[key] = [compare(own.beside.first(n), own.shallow.first(n))]
        looks.append(Look(n, found, dict.fromkeys(keys, 1)))
    return settle(looks, planned=len(study.looks), margin=study.delta / POINTS)
