"""Decisions over a family: union-intersection over shallower depths, Holm over the family, the level split over looks.

Nothing here knows of nets: a hypothesis is a set of comparisons, each of which may show that something is larger than
a margin. `settle` decides all hypotheses of a family together.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from reslab.analysis.intervals import Comparison

Key = tuple[str, int]  # shortcut, depth
Family = Mapping[str, Sequence[int]]  # depths, rising, by shortcut
LEVEL = 0.025  # one-sided, for each of the two directions


@dataclass(frozen=True)
class Sample:
    """Clean errors (share) of one cell, in the order of the plan; failures count as chance and are flagged."""

    planned: tuple[int, ...]
    """All seeds that were asked for; a look takes the first of them, whichever end first."""
    seeds: tuple[int, ...]
    """Those with a result."""
    values: tuple[float, ...]
    failed: tuple[bool, ...]
    resolution: float
    """One image of the training set, as a share."""

    def first(self, n: int) -> "Sample":
        """The first `n` seeds with a result."""
        return Sample(self.planned[:n], self.seeds[:n], self.values[:n], self.failed[:n], self.resolution)

    @property
    def ready(self) -> int:
        """How many seeds from the first planned one on have a result, without a gap."""
        return len(unbroken(self.planned, self.seeds))

    @property
    def floor(self) -> float:
        """Standard deviation of rounding to whole images: no spread is taken to be smaller."""
        return self.resolution / math.sqrt(12)

    @property
    def failures(self) -> int:
        """How many runs count as chance."""
        return sum(self.failed)


def unbroken(planned: Sequence[int], there: Collection[int]) -> list[int]:
    """The planned ones up to the first that is not there."""
    return list(takewhile(lambda seed: seed in there, planned))


@dataclass(frozen=True)
class Look:
    """What can be seen at one look: per hypothesis its comparisons, and how many of them its family has."""

    n: int
    found: Mapping[Key, Sequence[Comparison]]
    declared: Mapping[Key, int]


@dataclass(frozen=True)
class Settled:
    """Where a hypothesis stands at its last look: bounds, and the one-sided levels at which they were drawn."""

    lower: float
    upper: float
    look: int
    lower_level: float
    """Shared out over looks, family and comparisons."""
    upper_level: float
    """Shared out over looks and family."""
    complete: bool
    """Whether every comparison of the family could be made."""

    def word(self, margin: float, yes: str, no: str) -> str:
        """`yes` iff the lower bound is above the margin, `no` iff the upper one is below, else undecided."""
        return yes if self.lower > margin else no if self.upper < margin else "undecided"


def settle(looks: Sequence[Look], *, planned: int, margin: float, level: float = LEVEL) -> dict[Key, Settled]:
    """Decide a family of hypotheses; each stands as its last look left it.

    `planned` is the number of looks that the level is split over, so that stopping at any of them is covered. At each
    look Holm's step-down runs in each direction; the bounds are those of the step at which it stopped, so a
    hypothesis is rejected exactly where its bound passes the margin. A look at which comparisons are missing does
    not replace one at which all could be made.

    What holds over the family is the verdicts, with probability 1 - `level` in each direction. Bounds are not
    simultaneous: where Holm rejects everything, each is at the level of one hypothesis (`lower_level`, `upper_level`).
    """
    standing: dict[Key, Settled] = {}
    for look in looks:
        above = {key: _union(look, key, margin) for key in look.declared}
        below = {key: _intersection(look, key, margin) for key in look.declared}
        step_up, step_down = (holm(list(p.values()), level / planned) for p in (above, below))
        for key, comparisons in look.found.items():
            complete = len(comparisons) == look.declared[key]
            if not comparisons or (key in standing and standing[key].complete and not complete):
                continue
            share = step_up / look.declared[key]
            lower = max(c.lower(share) for c in comparisons)
            upper = max(c.upper(step_down) for c in comparisons) if complete else math.inf
            standing[key] = Settled(lower, upper, look.n, share, step_down, complete)
    return standing


def holm(p_values: Sequence[float], level: float) -> float:
    """The level of the step at which Holm's procedure stops: every p-value at or below it is rejected, no other is."""
    m = len(p_values)
    for rejected, p in enumerate(sorted(p_values)):
        if p > level / (m - rejected):
            return level / (m - rejected)
    return level


def _union(look: Look, key: Key, margin: float) -> float:
    """Some comparison is above: Bonferroni over the declared ones."""
    comparisons = look.found.get(key, ())
    return min([1.0, *(look.declared[key] * c.above(margin) for c in comparisons)])


def _intersection(look: Look, key: Key, margin: float) -> float:
    """Every comparison is below: the largest p-value, no correction."""
    comparisons = look.found.get(key, ())
    return max(c.below(margin) for c in comparisons) if len(comparisons) == look.declared[key] else 1.0
