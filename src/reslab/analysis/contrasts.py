"""What does a shortcut change? Plain against residual per seed: at one depth, and as difference in differences.

Cells share seeds by construction, so every seed gives one number; the numbers are compared, not the cells.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reslab.analysis.gaps import in_points
from reslab.analysis.intervals import Comparison, Exact, fieller, paired, welch
from reslab.analysis.series import Series
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import LEVEL, Family, Key, Look, Sample, Settled, settle

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
        known = key[1] in degraded and not series.broken(n)
        share = fieller(numbers, gap, floors=(series.rounding(), series.rounding(only=PLAIN))) if known else None
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
) -> Iterator[tuple[Key, Series, int, Settled | None]]:
    """Settle a family at its looks; for each member with results its series, the seeds to show, and where it stands.

    A member of nets that did not learn counts in the family, and has no bounds: exchanging chance for chance would give
    it an interval without a width.
    """
    series = {key: found for key, own in signs.items() if (found := Series.of(samples, own)) is not None}
    looks = []
    for n in study.looks:
        made: dict[Key, Sequence[Comparison]] = {
            key: [series[key].compare(n)] if key in series and series[key].ready >= n else [] for key in signs
        }
        looks.append(Look(n, made, dict.fromkeys(signs, 1)))
    settled = settle(looks, planned=len(study.looks), margin=study.delta / POINTS)
    for key, own in series.items():
        standing = settled.get(key)
        if standing and own.nothing(standing.look):
            standing = replace(standing, lower=-math.inf, upper=math.inf)
        yield key, own, standing.look if standing else own.n, standing


def _interval(series: Series, n: int, settled: Settled | None) -> dict[str, Any]:
    """The fields that contrasts and rescues share."""
    made = series.compare(n) if n > 1 else None
    lower, upper = -math.inf, math.inf
    if settled:
        lower, upper = settled.lower, settled.upper
    elif made and not series.nothing(n):
        lower, upper = made.lower(LEVEL), made.upper(LEVEL)
    return {
        "n": n,
        "look": settled.look if settled else None,
        "lower_points": in_points(lower),
        "upper_points": in_points(upper),
        "lower_level": settled.lower_level if settled else None,
        "upper_level": settled.upper_level if settled else None,
        "method": made.method if made else "one seed",
    }


def _needed(series: Series, n: int, settled: Settled | None, study: Study) -> str:
    """What is missing for a decision: seeds of the next look, or an n at which the test can decide at all."""
    if _word(settled, study, "yes", "no") != "undecided":
        return ""
    ahead = next((f"next look at n = {look}" for look in study.looks if look > n), "no look is left")
    if why := series.nothing(n):
        return f"{why}; {ahead}"
    made = series.compare(n) if n > 1 else None
    if settled and isinstance(made, Exact) and made.smallest > settled.lower_level:
        return (
            f"p = {made.smallest:.2g} is the smallest n = {n} can give and {settled.lower_level:.2g} is needed; {ahead}"
        )
    return ahead


def _word(settled: Settled | None, study: Study, yes: str, no: str) -> str:
    return settled.word(study.delta / POINTS, yes, no) if settled else "undecided"
