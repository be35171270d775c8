"""What does a shortcut change? Plain against residual per seed: at one depth, and as difference in differences.

Cells share seeds by construction, so every seed gives one number; the numbers are compared, not the cells.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from reslab.analysis.gaps import in_points
from reslab.analysis.intervals import Comparison, fieller, paired, sign_flips, welch
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import LEVEL, Key, Look, Sample, Settled, settle

PLAIN, RESCUES = "none", "rescues"
Made = TypeVar("Made")


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


@dataclass(frozen=True)
class _PerSeed:
    """One number a seed, from cells with signs; flagged where one of its runs failed."""

    numbers: tuple[float, ...]
    failed: bool
    floor: float

    def first(self, n: int) -> "_PerSeed":
        return _PerSeed(self.numbers[:n], self.failed, self.floor)

    def compare(self) -> Comparison:
        return sign_flips(self.numbers) if self.failed else paired(self.numbers, floor=self.floor)


def contrasts(samples: Mapping[Key, Sample], study: Study) -> list[Contrast]:
    """Every shortcut against none at every depth that both have, decided as one family."""
    keys = [(s, d) for s, d in samples if s != PLAIN and (PLAIN, d) in samples]
    series = {(s, d): _per_seed(samples, {(PLAIN, d): 1, (s, d): -1}) for s, d in keys}

    def made(key: Key, values: _PerSeed, settled: Settled | None) -> Contrast:
        lower, upper = _bounds(values, settled)
        correlation, pairing = twins(samples[PLAIN, key[1]], samples[key])
        return Contrast(
            shortcut=key[0],
            depth=key[1],
            n=len(values.numbers),
            look=settled.look if settled else None,
            difference_points=POINTS * float(np.mean(values.numbers)),
            lower_points=in_points(lower),
            upper_points=in_points(upper),
            lower_level=settled.lower_level if settled else None,
            upper_level=settled.upper_level if settled else None,
            method=_method(values),
            verdict=_word(settled, study, "better", "not better"),
            correlation=correlation,
            pairing=pairing,
        )

    return _decide(series, study, made)


def rescues(samples: Mapping[Key, Sample], study: Study, degraded: Collection[int]) -> list[Rescue]:
    """Difference in differences against the shallowest common depth, for every shortcut and deeper depth.

    `degraded`: depths at which plain nets are known to degrade; where they are not, there is nothing to rescue yet.
    """
    series: dict[Key, _PerSeed] = {}
    plain_gaps: dict[Key, _PerSeed] = {}
    for shortcut in dict.fromkeys(s for s, _ in samples if s != PLAIN):
        depths = sorted(d for s, d in samples if s == shortcut and (PLAIN, d) in samples)
        for depth in depths[1:]:
            signs = {(PLAIN, depth): 1, (PLAIN, depths[0]): -1, (shortcut, depth): -1, (shortcut, depths[0]): 1}
            series[shortcut, depth] = _per_seed(samples, signs)
            plain_gaps[shortcut, depth] = _per_seed(samples, signs, only=PLAIN)

    def made(key: Key, values: _PerSeed, settled: Settled | None) -> Rescue:
        lower, upper = _bounds(values, settled)
        gap = plain_gaps[key].first(len(values.numbers)).numbers
        low, high = (None, None) if values.failed else fieller(values.numbers, gap) or (None, None)
        verdict = _word(settled, study, RESCUES, "does not rescue")
        return Rescue(
            shortcut=key[0],
            depth=key[1],
            reference=min(d for s, d in samples if s == key[0] and (PLAIN, d) in samples),
            n=len(values.numbers),
            look=settled.look if settled else None,
            rescue_points=POINTS * float(np.mean(values.numbers)),
            lower_points=in_points(lower),
            upper_points=in_points(upper),
            lower_level=settled.lower_level if settled else None,
            upper_level=settled.upper_level if settled else None,
            method=_method(values),
            verdict="undecided" if verdict == RESCUES and key[1] not in degraded else verdict,
            fraction=None if low is None else float(np.mean(values.numbers) / np.mean(gap)),
            fraction_lower=low,
            fraction_upper=high,
        )

    return _decide(series, study, made)


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


def _per_seed(samples: Mapping[Key, Sample], signs: Mapping[Key, int], only: str | None = None) -> _PerSeed:
    seeds = sorted(set.intersection(*(set(samples[key].seeds) for key in signs)))
    values = {key: dict(zip(samples[key].seeds, samples[key].values, strict=True)) for key in signs}
    used = {key: sign for key, sign in signs.items() if only is None or key[0] == only}
    numbers = tuple(float(sum(sign * values[key][seed] for key, sign in used.items())) for seed in seeds)
    failed = any(samples[key].failures for key in signs)
    return _PerSeed(numbers, failed, math.sqrt(len(used)) * max(samples[key].floor for key in used))


def _decide(
    series: Mapping[Key, _PerSeed], study: Study, made: Callable[[Key, _PerSeed, Settled | None], Made]
) -> list[Made]:
    """Settle the family at its looks; each result is made from the seeds of the last look reached."""
    looks = []
    for n in study.looks:
        found: dict[Key, Sequence[Comparison]] = {
            key: [values.first(n).compare()] if len(values.numbers) >= n else [] for key, values in series.items()
        }
        looks.append(Look(n, found, dict.fromkeys(series, 1)))
    settled = settle(looks, planned=len(study.looks), margin=study.delta / POINTS)
    seen = {key: settled.get(key) for key, values in series.items() if values.numbers}
    return [made(key, _seen(series[key], standing), standing) for key, standing in seen.items()]


def _seen(values: _PerSeed, settled: Settled | None) -> _PerSeed:
    return values.first(settled.look) if settled and settled.look else values


def _bounds(values: _PerSeed, settled: Settled | None) -> tuple[float, float]:
    if settled:
        return settled.lower, settled.upper
    if len(values.numbers) < 2:
        return -math.inf, math.inf
    made = values.compare()
    return made.lower(LEVEL), made.upper(LEVEL)


def _method(values: _PerSeed) -> str:
    return values.compare().method if len(values.numbers) > 1 else "one seed"


def _word(settled: Settled | None, study: Study, yes: str, no: str) -> str:
    return settled.word(study.delta / POINTS, yes, no) if settled else "undecided"
