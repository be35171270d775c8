"""What does a shortcut change? Plain against residual per seed: at one depth, and as difference in differences.

Cells share seeds by construction, so every seed gives one number; the numbers are compared, not the cells.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reslab.analysis.gaps import in_points
from reslab.analysis.intervals import Comparison, Exact, fieller, paired, permutation, sign_flips, welch
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import LEVEL, Family, Key, Look, Sample, Settled, settle, unbroken

PLAIN, RESCUES = "none", "rescues"


@dataclass(frozen=True)
class Contrast:
    """Plain less a shortcut at one depth, in points; positive: the plain net is worse."""

    shortcut: str
    depth: int
    n: int
    look: int | None
    difference_points: float
    lower_points: float | None
    upper_points: float | None
    lower_level: float | None
    upper_level: float | None
    method: str
    verdict: str
    correlation: float | None
    pairing: float | None
    needed: str


@dataclass(frozen=True)
class Rescue:
    """What a shortcut takes from the plain net's gap between a depth and the shallowest one, in points."""

    shortcut: str
    depth: int
    reference: int
    n: int
    look: int | None
    rescue_points: float
    lower_points: float | None
    upper_points: float | None
    lower_level: float | None
    upper_level: float | None
    method: str
    verdict: str
    fraction: float | None
    fraction_lower: float | None
    fraction_upper: float | None
    needed: str


@dataclass(frozen=True)
class _Series:
    """Some cells over the seeds that all of them have, in the order of the plan, and the signs that they go in with."""

    signs: Mapping[Key, int]
    values: Mapping[Key, tuple[float, ...]]
    failed: tuple[bool, ...]
    ready: int
    """Seeds from the first planned one on that all cells have a result of."""
    floor: float

    @classmethod
    def of(cls, samples: Mapping[Key, Sample], signs: Mapping[Key, int]) -> "_Series | None":
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
        failed = tuple(any(samples[key].failed[places[key][at]] for key in signs) for at in range(len(seeds)))
        floor = max(sample.floor for sample in used)
        return cls(signs, values, failed, len(unbroken(planned, seeds)), floor)

    def numbers(self, n: int, only: str | None = None) -> tuple[float, ...]:
        """One a seed; `only`: of the cells with this shortcut."""
        used = [(sign, self.values[key]) for key, sign in self.signs.items() if only in (None, key[0])]
        return tuple(float(sum(sign * values[at] for sign, values in used)) for at in range(n))

    def floors(self) -> tuple[float, float]:
        """Spread of rounding of all the cells together, and of the plain ones."""
        plain = sum(key[0] == PLAIN for key in self.signs)
        return self.floor * math.sqrt(len(self.signs)), self.floor * math.sqrt(plain)

    def compare(self, n: int) -> Comparison:
        """Paired t; with failures by exact permutation of two cells, by sign flips of four."""
        if not any(self.failed[:n]):
            return paired(self.numbers(n), floor=self.floors()[0])
        if len(self.signs) == 2:
            plain, other = (self.values[key][:n] for key in sorted(self.signs, key=lambda key: -self.signs[key]))
            return permutation(plain, other)
        return sign_flips(self.numbers(n))


def contrasts(samples: Mapping[Key, Sample], study: Study, cells: Family) -> list[Contrast]:
    """Every shortcut of the family against none at every depth that both have, decided together."""
    keys = [(s, d) for s, depths in cells.items() if s != PLAIN for d in depths if d in cells.get(PLAIN, ())]
    found = []
    for key, series, n, settled in _decide(samples, {(s, d): {(PLAIN, d): 1, (s, d): -1} for s, d in keys}, study):
        correlation, pairing = twins(samples[PLAIN, key[1]], samples[key])
        found.append(
            Contrast(
                shortcut=key[0],
                depth=key[1],
                difference_points=POINTS * float(np.mean(series.numbers(n))),
                verdict=_word(settled, study, "better", "not better"),
                correlation=correlation,
                pairing=pairing,
                needed=_needed(series, n, settled, study),
                **_interval(series, n, settled),
            )
        )
    return found


def rescues(samples: Mapping[Key, Sample], study: Study, cells: Family, degraded: Collection[int]) -> list[Rescue]:
    """Difference in differences against the shallowest common depth, for every shortcut and deeper depth.

    `degraded`: depths at which plain nets are known to degrade; where they are not, there is nothing to rescue yet.
    """
    signs = {}
    for shortcut, depths in cells.items():
        common = [d for d in depths if d in cells.get(PLAIN, ())] if shortcut != PLAIN else []
        for d in common[1:]:
            signs[shortcut, d] = {(PLAIN, d): 1, (PLAIN, common[0]): -1, (shortcut, d): -1, (shortcut, common[0]): 1}
    found = []
    for key, series, n, settled in _decide(samples, signs, study):
        numbers, gap = series.numbers(n), series.numbers(n, only=PLAIN)
        known = key[1] in degraded and not any(series.failed[:n])
        share = fieller(numbers, gap, floors=series.floors()) if known else None
        verdict = _word(settled, study, RESCUES, "does not rescue")
        found.append(
            Rescue(
                shortcut=key[0],
                depth=key[1],
                reference=min(d for _, d in signs[key]),
                rescue_points=POINTS * float(np.mean(numbers)),
                verdict="undecided" if verdict == RESCUES and key[1] not in degraded else verdict,
                fraction=float(np.mean(numbers) / np.mean(gap)) if share else None,
                fraction_lower=share[0] if share else None,
                fraction_upper=share[1] if share else None,
                needed=_needed(series, n, settled, study),
                **_interval(series, n, settled),
            )
        )
    return found


def twins(plain: Sample, residual: Sample) -> tuple[float | None, float | None]:
    """Correlation of two cells over their common seeds, and the width of the unpaired interval over the paired one.

    None below three common seeds, where one cell does not vary, or where a run failed.
    """
    seeds = sorted(set(plain.seeds) & set(residual.seeds))
    if len(seeds) < 3 or plain.failures or residual.failures:
        return None, None
    a, b = ([dict(zip(s.seeds, s.values, strict=True))[seed] for seed in seeds] for s in (plain, residual))
    if len(set(a)) == 1 or len(set(b)) == 1:
        return None, None
    floor = max(plain.floor, residual.floor)
    alone, together = welch(a, b, floor=floor), paired(list(np.subtract(a, b)), floor=floor)
    return float(np.corrcoef(a, b)[0, 1]), (alone.upper(LEVEL) - alone.estimate) / (
        together.upper(LEVEL) - together.estimate
    )


def _decide(
    samples: Mapping[Key, Sample], signs: Mapping[Key, Mapping[Key, int]], study: Study
) -> Iterator[tuple[Key, _Series, int, Settled | None]]:
    """Settle a family at its looks; for each member with results its series, the seeds to show, and where it stands."""
    series = {key: found for key, own in signs.items() if (found := _Series.of(samples, own)) is not None}
    looks = []
    for n in study.looks:
        made: dict[Key, Sequence[Comparison]] = {
            key: [series[key].compare(n)] if key in series and series[key].ready >= n else [] for key in signs
        }
        looks.append(Look(n, made, dict.fromkeys(signs, 1)))
    settled = settle(looks, planned=len(study.looks), margin=study.delta / POINTS)
    for key, own in series.items():
        standing = settled.get(key)
        yield key, own, standing.look if standing else len(own.failed), standing


def _interval(series: _Series, n: int, settled: Settled | None) -> dict[str, Any]:
    """The fields that contrasts and rescues share."""
    made = series.compare(n) if n > 1 else None
    lower, upper = (-math.inf, math.inf) if made is None else (made.lower(LEVEL), made.upper(LEVEL))
    if settled:
        lower, upper = settled.lower, settled.upper
    return {
        "n": n,
        "look": settled.look if settled else None,
        "lower_points": in_points(lower),
        "upper_points": in_points(upper),
        "lower_level": settled.lower_level if settled else None,
        "upper_level": settled.upper_level if settled else None,
        "method": made.method if made else "one seed",
    }


def _needed(series: _Series, n: int, settled: Settled | None, study: Study) -> str:
    """What is missing for a decision: seeds of the next look, or an n at which the test can decide at all."""
    if _word(settled, study, "yes", "no") != "undecided":
        return ""
    ahead = next((f"next look at n = {look}" for look in study.looks if look > n), "no look is left")
    made = series.compare(n) if n > 1 else None
    if settled and isinstance(made, Exact) and made.smallest > settled.lower_level:
        return (
            f"p = {made.smallest:.2g} is the smallest n = {n} can give and {settled.lower_level:.2g} is needed; {ahead}"
        )
    return ahead


def _word(settled: Settled | None, study: Study, yes: str, no: str) -> str:
    return settled.word(study.delta / POINTS, yes, no) if settled else "undecided"
