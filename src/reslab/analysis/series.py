"""Cells that share seeds, taken together: one number a seed, how it is tested, and when it says nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from reslab.analysis.gaps import NOTHING
from reslab.analysis.intervals import Comparison, paired, permutation, sign_flips
from reslab.analysis.verdict import Key, Sample, unbroken

NEITHER = "no run of either net of this depth learned, so there is nothing to compare"


@dataclass(frozen=True)
class Series:
    """Some cells over the seeds that all of them have, in the order of the plan, and the signs that they go in with."""

    signs: Mapping[Key, int]
    values: Mapping[Key, tuple[float, ...]]
    failed: Mapping[Key, tuple[bool, ...]]
    ready: int
    """Seeds from the first planned one on that all cells have a result of."""
    floor: float

    @classmethod
    def of(cls, samples: Mapping[Key, Sample], signs: Mapping[Key, int]) -> "Series | None":
        """None where a cell has no result."""
        if not all(key in samples for key in signs):
            return None
        used = [samples[key] for key in signs]
        planned = [seed for seed in used[0].planned if all(seed in sample.planned for sample in used)]
        seeds = [seed for seed in planned if all(seed in sample.seeds for sample in used)]
        if not seeds:
            return None
        places = {key: [samples[key].seeds.index(seed) for seed in seeds] for key in signs}
        values = {key: tuple(samples[key].values[at] for at in places[key]) for key in signs}
        failed = {key: tuple(samples[key].failed[at] for at in places[key]) for key in signs}
        floor = max(sample.floor for sample in used)
        return cls(signs, values, failed, len(unbroken(planned, seeds)), floor)

    @property
    def n(self) -> int:
        """Seeds that all cells have a result of."""
        return min(len(values) for values in self.values.values())

    def broken(self, n: int) -> bool:
        """Whether a run failed among the first n seeds of any cell."""
        return any(any(flags[:n]) for flags in self.failed.values())

    def nothing(self, n: int) -> str:
        """Why chance less chance says nothing of a net: one that must have learned did not; empty: all did.

        Of a pair of nets of one depth at least one must have, and of the nets that depth is held against, every one.
        """
        deep = {key for key in self.signs if key[1] == max(depth for _, depth in self.signs)}
        dead = {key for key, flags in self.failed.items() if all(flags[:n])}
        return NOTHING if dead - deep else NEITHER if deep <= dead else ""

    def numbers(self, n: int, only: str | None = None) -> tuple[float, ...]:
        """One a seed; `only`: of the cells with this shortcut."""
        used = [(sign, self.values[key]) for key, sign in self.signs.items() if only in (None, key[0])]
        return tuple(float(sum(sign * values[at] for sign, values in used)) for at in range(n))

    def rounding(self, only: str | None = None) -> float:
        """Standard deviation that rounding alone gives to these numbers: roundings of the cells are independent."""
        return self.floor * math.sqrt(sum(only in (None, key[0]) for key in self.signs))

    def compare(self, n: int) -> Comparison:
        """Paired t; with failures by exact permutation of two cells, by sign flips of four."""
        if not self.broken(n):
            return paired(self.numbers(n), floor=self.rounding())
        if len(self.signs) == 2:
            plain, other = (self.values[key][:n] for key in sorted(self.signs, key=lambda key: -self.signs[key]))
            return permutation(plain, other)
        return sign_flips(self.numbers(n))
