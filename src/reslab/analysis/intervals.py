"""Intervals and tests for few seeds. Each comparison answers four questions at any level; no bootstrap, no pooling.

Levels and p-values are one-sided. `above(margin)` is the p-value against "the difference is at most margin",
`below(margin)` against "it is at least margin"; `lower(level)` and `upper(level)` are the bounds that these tests
invert to, so what a bound says and what a test decides are the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np
from scipy import special  # scipy.stats takes a second to import

MOST_ARRANGEMENTS = 50_000  # beyond it (9 against 9 seeds) permutations are drawn, under a fixed seed


def quantile(level: float, freedom: float) -> float:
    """The t value that is exceeded with probability `level`."""
    return -float(special.stdtrit(freedom, level))


@dataclass(frozen=True)
class Student:
    """A t interval: estimate, its standard error and degrees of freedom."""

    estimate: float
    error: float
    freedom: float
    method: str

    def above(self, margin: float) -> float:
        """P(t > (estimate - margin) / error)."""
        return float(special.stdtr(self.freedom, (margin - self.estimate) / self.error))

    def below(self, margin: float) -> float:
        """P(t < (estimate - margin) / error)."""
        return float(special.stdtr(self.freedom, (self.estimate - margin) / self.error))

    def lower(self, level: float) -> float:
        """Estimate less its margin."""
        return self.estimate - quantile(level, self.freedom) * self.error

    def upper(self, level: float) -> float:
        """Estimate plus its margin."""
        return self.estimate + quantile(level, self.freedom) * self.error


@dataclass(frozen=True)
class Exact:
    """A randomisation test: the differences at which each other arrangement of the data would look as extreme.

    For every arrangement but the observed one there is one shift at which it ties with the observed one; counting the
    shifts below a margin is the test, sorting them is the interval.
    """

    estimate: float
    shifts: np.ndarray
    """Sorted; the observed arrangement itself is not among them, and always counts."""
    method: str

    @property
    def smallest(self) -> float:
        """The smallest p-value that this many seeds can give."""
        return 1.0 / (len(self.shifts) + 1)

    def above(self, margin: float) -> float:
        """Share of arrangements at least as extreme."""
        return float(1 + np.sum(self.shifts <= margin + 1e-12)) * self.smallest

    def below(self, margin: float) -> float:
        """Share of arrangements at least as extreme, in the other direction."""
        return float(1 + np.sum(self.shifts >= margin - 1e-12)) * self.smallest

    def lower(self, level: float) -> float:
        """The smallest margin that is not rejected."""
        allowed = self._allowed(level)
        return -math.inf if allowed == 0 else float(self.shifts[min(allowed, len(self.shifts)) - 1])

    def upper(self, level: float) -> float:
        """The largest margin that is not rejected."""
        allowed = self._allowed(level)
        return math.inf if allowed == 0 else float(self.shifts[-min(allowed, len(self.shifts))])

    def _allowed(self, level: float) -> int:
        return math.floor(level / self.smallest + 1e-9)


@runtime_checkable
class Comparison(Protocol):
    """What every test answers, at any one-sided level."""

    @property
    def estimate(self) -> float:
        """The middle of all its intervals."""

    @property
    def method(self) -> str:
        """Its name, as tables say it."""

    def above(self, margin: float) -> float:
        """P-value against "at most margin"."""

    def below(self, margin: float) -> float:
        """P-value against "at least margin"."""

    def lower(self, level: float) -> float:
        """The bound that `above` inverts to; -inf where there is none."""

    def upper(self, level: float) -> float:
        """The bound that `below` inverts to; inf where there is none."""


def welch(a: Sequence[float], b: Sequence[float], *, floor: float) -> Student:
    """Mean of `a` less mean of `b`, with unequal variances (Welch 1947); n >= 2 each.

    `floor`: the least standard deviation of each, so that equal values do not pretend to know more than the
    measurement's resolution.
    """
    parts = [(max(float(np.std(x, ddof=1)), floor) ** 2 / len(x), len(x)) for x in (a, b)]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / (n - 1) for part, n in parts)
    return Student(float(np.mean(a) - np.mean(b)), math.sqrt(total), freedom, "Welch t")


def paired(differences: Sequence[float], *, floor: float) -> Student:
    """Mean of one number a seed; n - 1 degrees of freedom."""
    n = len(differences)
    error = max(float(np.std(differences, ddof=1)), floor) / math.sqrt(n)
    return Student(float(np.mean(differences)), error, float(n - 1), "paired t")


def permutation(a: Sequence[float], b: Sequence[float]) -> Exact:
    """Mean of `a` less mean of `b` by exact permutation (drawn ones beyond 9 against 9, under a fixed seed).

    An arrangement that swaps j of `a` against j of `b` looks as extreme once the difference is shifted by
    (sum of the swapped a - sum of the swapped b) / j.
    """
    pooled, n = np.concatenate([a, b]).astype(float), len(a)
    exchanged, drawn = arrangements(n, len(b))
    swapped = exchanged[:, :n].sum(axis=1)
    sums = exchanged[:, :n] @ pooled[:n] - exchanged[:, n:] @ pooled[n:]
    said = f"permutation ({len(swapped) + 1:,} drawn)" if drawn else "exact permutation"
    return Exact(float(np.mean(a) - np.mean(b)), np.sort(sums / swapped), said)


def sign_flips(differences: Sequence[float]) -> Exact:
    """Mean of one number a seed by flipping signs: flipping a subset ties when the shift is the subset's mean."""
    n = len(differences)
    drawn = 2**n > MOST_ARRANGEMENTS
    if drawn:
        masks = np.random.Generator(np.random.Philox(0)).integers(0, 2, (MOST_ARRANGEMENTS, n)).astype(float)
        masks = masks[masks.any(axis=1)]
    else:
        masks = (np.arange(1, 2**n)[:, None] >> np.arange(n) & 1).astype(float)
    means = masks @ np.asarray(differences, dtype=float) / masks.sum(axis=1)
    said = f"sign flips ({len(masks) + 1:,} drawn)" if drawn else "exact sign flips"
    return Exact(float(np.mean(differences)), np.sort(means), said)


@cache
def arrangements(n: int, m: int) -> tuple[np.ndarray, bool]:
    """For each arrangement but the observed one: which of the n + m values change sides; and whether they are drawn."""
    rows = []
    drawn = math.comb(n + m, n) > MOST_ARRANGEMENTS
    if drawn:
        generator = np.random.Generator(np.random.Philox(0))
        chosen = [generator.permutation(n + m)[:n] for _ in range(MOST_ARRANGEMENTS)]
    else:
        chosen = [np.array(c) for c in combinations(range(n + m), n)]
    for indices in chosen:
        row = np.zeros(n + m)
        row[:n] = 1
        row[indices] -= 1
        row = np.abs(row)
        if row.any():
            rows.append(row)
    return np.array(rows), drawn


def interval_of_mean(values: Sequence[float], *, floor: float, level: float = 0.025) -> tuple[float, float]:
    """Two-sided t interval of a mean; n >= 2."""
    made = paired(values, floor=floor)
    return made.lower(level), made.upper(level)


def interval_of_sd(sd: float, n: int, *, share: float = 0.8) -> tuple[float, float]:
    """Chi-square interval of a standard deviation of normal values; n >= 2."""
    low, high = special.chdtri(n - 1, [(1 - share) / 2, (1 + share) / 2])
    return sd * math.sqrt((n - 1) / low), sd * math.sqrt((n - 1) / high)


def clopper_pearson(failures: int, n: int, *, level: float = 0.025) -> tuple[float, float]:
    """Exact two-sided interval of a failure rate."""
    low = 0.0 if failures == 0 else float(special.betaincinv(failures, n - failures + 1, level))
    high = 1.0 if failures == n else float(special.betaincinv(failures + 1, n - failures, 1 - level))
    return low, high


def superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """P(a > b) + P(a = b) / 2 over all pairs (Vargha and Delaney 2000)."""
    differences = np.subtract.outer(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    return float(np.mean(differences > 0) + np.mean(differences == 0) / 2)


def fieller(
    top: Sequence[float], bottom: Sequence[float], *, floors: tuple[float, float] = (0.0, 0.0), level: float = 0.025
) -> tuple[float, float] | None:
    """Interval of mean(top) / mean(bottom), paired by seed (Fieller 1954); None unless the bottom differs from 0.

    `floors`: the least standard deviations of top and bottom.
    """
    n = len(top)
    if n < 2:
        return None
    covariance = np.cov(np.asarray(top, dtype=float), np.asarray(bottom, dtype=float)) / n
    for at, floor in enumerate(floors):
        covariance[at, at] = max(covariance[at, at], floor**2 / n)
    t = quantile(level, float(n - 1))
    mean_top, mean_bottom = float(np.mean(top)), float(np.mean(bottom))
    a = mean_bottom**2 - t**2 * covariance[1, 1]
    b = mean_top * mean_bottom - t**2 * covariance[0, 1]
    c = mean_top**2 - t**2 * covariance[0, 0]
    if a <= 0:
        return None
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return (b - root) / a, (b + root) / a


def seeds_to_tell(distance: float, sds: tuple[float, float], *, level: float, most: int = 1000) -> int | None:
    """The least n per cell at which a t interval of two cells is narrower than `distance`; None beyond `most`."""
    parts = sds[0] ** 2, sds[1] ** 2
    total = sum(parts)
    ratio = total**2 / sum(part**2 for part in parts)  # degrees of freedom are ratio * (n - 1)
    n = np.arange(2, most + 1)
    enough = -special.stdtrit(ratio * (n - 1), level) * np.sqrt(total / n) < distance
    return int(n[enough.argmax()]) if enough.any() else None


def seeds_to_permute(level: float, most: int = 50) -> int:
    """The least n per cell at which an exact permutation test can reject at all."""
    return next((n for n in range(2, most) if 1 / math.comb(2 * n, n) <= level), most)
