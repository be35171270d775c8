"""The share of a gap that an intervention removes: a ratio of two differences that have a cell in common.

share = [E(deep, none) - E(deep, I)] / [E(deep, none) - E(shallow, none)]. Fieller (1954): a share of r is what the data
allow where the contrast (1 - r) E(deep, none) - E(deep, I) + r E(shallow, none) may be 0, and that is a test of three
independent means. The shared cell stands in the contrast once, with weight 1 - r, which is its covariance with itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from reslab.analysis.intervals import Exact, arrangements

FINENESS = 2000  # places on each side of the estimate at which a share is tried before bisection


@dataclass(frozen=True)
class Share:
    """The set of shares that Welch tests of the contrast do not reject; one-sided levels, as all of `intervals`.

    `means`, `parts` (variances of the means) and `seeds` are those of E(deep, none), E(deep, I), E(shallow, none).
    Degrees of freedom are Welch-Satterthwaite's, anew for every share r: at r = 0 the test is then Welch's of deep
    nets with and without the intervention, at r = 1 of deep nets with it against shallow ones, and at infinity of the
    gap itself. One number for all r would agree with none of the three. The price is that the bounds are searched for
    and not solved for. Where the gap may be 0 at the level asked for, the set has no end and the bound is infinite.
    """

    means: tuple[float, float, float]
    parts: tuple[float, float, float]
    seeds: tuple[int, int, int]
    method: str = "Fieller, Welch"

    @classmethod
    def of(
        cls, deep: Sequence[float], changed: Sequence[float], shallow: Sequence[float], *, floor: float
    ) -> "Share | None":
        """Of errors (share) by cell, n >= 2 each; None unless the mean gap is positive.

        `floor`: the least standard deviation of a cell, that of rounding to whole images.
        """
        cells = (deep, changed, shallow)
        means = tuple(float(np.mean(cell)) for cell in cells)
        parts = tuple(max(float(np.std(cell, ddof=1)), floor) ** 2 / len(cell) for cell in cells)
        made = cls(
            (means[0], means[1], means[2]), (parts[0], parts[1], parts[2]), (len(deep), len(changed), len(shallow))
        )
        return made if made.gap > 0 else None

    @property
    def gap(self) -> float:
        """E(deep, none) - E(shallow, none)."""
        return self.means[0] - self.means[2]

    @property
    def estimate(self) -> float:
        """The share itself."""
        return (self.means[0] - self.means[1]) / self.gap

    def above(self, margin: float) -> float:
        """P-value against a share of at most `margin`."""
        return float(self._tails(np.array([margin]), side=1)[0])

    def below(self, margin: float) -> float:
        """P-value against a share of at least `margin`."""
        return float(self._tails(np.array([margin]), side=-1)[0])

    def lower(self, level: float) -> float:
        """The smallest share that is not rejected; -inf where the gap may be 0."""
        return self._end(level, side=1)

    def upper(self, level: float) -> float:
        """The largest share that is not rejected; inf where the gap may be 0."""
        return self._end(level, side=-1)

    def _tails(self, shares: np.ndarray, *, side: int) -> np.ndarray:
        """P-values of the contrast at each share; side 1: against 'at most', -1: against 'at least'."""
        weights = np.stack([1 - shares, -np.ones_like(shares), shares])
        parts = weights**2 * np.array(self.parts)[:, None]
        total = parts.sum(axis=0)
        freedom = total**2 / (parts**2 / (np.array(self.seeds)[:, None] - 1)).sum(axis=0)
        return np.asarray(special.stdtr(freedom, -side * (np.array(self.means) @ weights) / np.sqrt(total)))

    @cached_property
    def _of_gap(self) -> float:
        """P-value against a gap of at most 0: the test at an infinite share, on either side."""
        parts = np.array([self.parts[0], self.parts[2]])
        freedom = parts.sum() ** 2 / (parts**2 / (np.array([self.seeds[0], self.seeds[2]]) - 1)).sum()
        return float(special.stdtr(freedom, -self.gap / math.sqrt(parts.sum())))

    def _end(self, level: float, *, side: int) -> float:
        """From far out inwards to the first share that is not rejected, then bisection: the outermost end there is."""
        if self._of_gap > level:
            return -side * math.inf
        share = self.estimate
        variance = (1 - share) ** 2 * self.parts[0] + self.parts[1] + share**2 * self.parts[2]
        angles = np.linspace(math.pi / 2, 0, FINENESS, endpoint=False)[1:]
        tried = np.append(share - side * math.sqrt(variance) / self.gap * np.tan(angles), share)
        inside = int((self._tails(tried, side=side) > level).argmax())
        if inside == 0:
            return -side * math.inf
        out, within = float(tried[inside - 1]), float(tried[inside])
        for _ in range(60):
            middle = (out + within) / 2
            rejected = self._tails(np.array([middle]), side=side)[0] <= level
            out, within = (middle, within) if rejected else (out, middle)
        return within


def permuted_share(deep: Sequence[float], changed: Sequence[float], shallow: Sequence[float]) -> Exact | None:
    """The same share where runs failed and errors are not normal: exact permutation, deep and shallow by seed.

    If a share r was removed, then the errors (1 - r) E(deep, none) + r E(shallow, none), one a seed, and those with the
    intervention are exchanged without notice. An arrangement that exchanges some seeds of both looks as extreme at
    r = (sum of the deep ones - sum of those with it) / (sum of the gaps). At r = 0 this is the permutation test of deep
    nets with and without. None unless every deep net is worse than its shallow twin, which keeps r in one order.
    """
    gaps = np.subtract(deep, shallow)
    if (gaps <= 0).any():
        return None
    n = len(deep)
    exchanged, drawn = arrangements(n, len(changed))
    tops = exchanged[:, :n] @ np.asarray(deep, dtype=float) - exchanged[:, n:] @ np.asarray(changed, dtype=float)
    estimate = float((np.mean(deep) - np.mean(changed)) / np.mean(gaps))
    said = f"permutation ({len(tops) + 1:,} drawn)" if drawn else "exact permutation"
    return Exact(estimate, np.sort(tops / (exchanged[:, :n] @ gaps)), said)
