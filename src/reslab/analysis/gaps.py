"""Does a depth degrade? Gap of clean training error against every shallower depth of the same shortcut."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reslab.analysis.intervals import (
    Comparison,
    interval_of_sd,
    permutation,
    seeds_to_permute,
    seeds_to_tell,
    welch,
)
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import LEVEL, Key, Look, Sample, Settled, settle

DEGRADES, FINE, UNDECIDED = "degrades", "does not degrade", "undecided"


@dataclass(frozen=True)
class Gap:
    """One depth against the shallower ones, in points; bounds of None where n can give none."""

    shortcut: str
    depth: int
    against: int
    n: int
    look: int | None
    gap_points: float
    lower_points: float | None
    upper_points: float | None
    lower_level: float | None
    upper_level: float | None
    now_points: float
    n_now: int
    method: str
    failures: int
    verdict: str
    needed: str


def family(planned: Iterable[Key], study: Study) -> dict[Key, list[Key]]:
    """Every hypothesis of the family with the cells that it is compared with: declared ones, else what was planned."""
    keys = list(planned)
    shortcuts = study.shortcuts or tuple(dict.fromkeys(shortcut for shortcut, _ in keys))
    depths = {s: sorted(study.depths or {d for name, d in keys if name == s}) for s in shortcuts}
    return {(s, d): [(s, other) for other in depths[s] if other < d] for s in shortcuts for d in depths[s][1:]}


def compare(deep: Sample, shallow: Sample) -> Comparison:
    """Welch; a cell with failures by exact permutation."""
    if deep.failures or shallow.failures:
        return permutation(deep.values, shallow.values)
    return welch(deep.values, shallow.values, floor=max(deep.floor, shallow.floor))


def judge(samples: Mapping[Key, Sample], study: Study, planned: Iterable[Key]) -> list[Gap]:
    """All gaps of one context; cells of the family without runs are counted by the correction and are not listed."""
    hypotheses = family(planned, study)
    looks = [_look(n, samples, hypotheses) for n in study.looks]
    settled = settle(looks, planned=len(study.looks), margin=study.delta / POINTS)
    found = []
    for (shortcut, depth), others in hypotheses.items():
        shallower = [key for key in others if key in samples]
        if (shortcut, depth) in samples and shallower:
            found.append(_gap((shortcut, depth), shallower, samples, settled.get((shortcut, depth)), study))
    return found


def _look(n: int, samples: Mapping[Key, Sample], hypotheses: Mapping[Key, Sequence[Key]]) -> Look:
    found: dict[Key, list[Comparison]] = {}
    for key, others in hypotheses.items():
        pairs = [(key, other) for other in others if _has(samples, key, n) and _has(samples, other, n)]
        found[key] = [compare(samples[a].first(n), samples[b].first(n)) for a, b in pairs]
    return Look(n, found, {key: len(others) for key, others in hypotheses.items()})


def _has(samples: Mapping[Key, Sample], key: Key, n: int) -> bool:
    return key in samples and len(samples[key].values) >= n


def _gap(
    key: Key, shallower: Sequence[Key], samples: Mapping[Key, Sample], settled: Settled | None, study: Study
) -> Gap:
    n_now = min(len(samples[key].values), max(len(samples[other].values) for other in shallower))
    look = settled.look if settled else None
    n = look or n_now
    deep = samples[key].first(n)
    best = min(shallower, key=lambda other: np.mean(samples[other].values[:n]))
    shallow = samples[best].first(n)
    margin = study.delta / POINTS
    lower, upper = (settled.lower, settled.upper) if settled else interim(deep, shallow, len(shallower))
    verdict = settled.word(margin, DEGRADES, FINE) if settled else UNDECIDED
    now = float(np.mean(samples[key].values) - min(np.mean(samples[other].values) for other in shallower))
    return Gap(
        shortcut=key[0],
        depth=key[1],
        against=best[1],
        n=min(len(deep.values), len(shallow.values)),
        look=look,
        gap_points=POINTS * float(np.mean(deep.values) - np.mean(shallow.values)),
        lower_points=in_points(lower),
        upper_points=in_points(upper),
        lower_level=settled.lower_level if settled else None,
        upper_level=settled.upper_level if settled else None,
        now_points=POINTS * now,
        n_now=n_now,
        method=compare(deep, shallow).method if min(len(deep.values), len(shallow.values)) > 1 else "one seed",
        failures=deep.failures + shallow.failures,
        verdict=verdict,
        needed="" if verdict != UNDECIDED else needed(deep, shallow, settled, study),
    )


def interim(deep: Sample, shallow: Sample, comparisons: int) -> tuple[float, float]:
    """Bounds before the first look, at the whole level of one hypothesis: they decide nothing."""
    if min(len(deep.values), len(shallow.values)) < 2:
        return -math.inf, math.inf
    made = compare(deep, shallow)
    return made.lower(LEVEL / comparisons), made.upper(LEVEL)


def in_points(bound: float) -> float | None:
    """A bound in points, within what an error can be; None where there is none."""
    return None if math.isinf(bound) else POINTS * min(max(bound, -1.0), 1.0)


def needed(deep: Sample, shallow: Sample, settled: Settled | None, study: Study) -> str:
    """What would settle it: the next look, and a range of seeds that follows from how unsure the spread itself is."""
    n = min(len(deep.values), len(shallow.values))
    ahead = [look for look in study.looks if look > n]
    following = f"next look at n = {ahead[0]}" if ahead else "no look is left: declare more"
    level = settled.lower_level if settled else LEVEL / len(study.looks)
    if (deep.failures or shallow.failures) and n > 1:
        p = permutation(deep.values, shallow.values).above(study.delta / POINTS)
        return f"{_failed(deep, shallow)}; {_permutable(n, p, level, study.looks)}"
    if n < 2:
        return f"one seed has no interval; {following}"
    distance = abs(float(np.mean(deep.values) - np.mean(shallow.values)) - study.delta / POINTS)
    ranges = [interval_of_sd(max(float(np.std(s.values, ddof=1)), s.floor), n) for s in (deep, shallow)]
    few, many = (seeds_to_tell(distance, (ranges[0][i], ranges[1][i]), level=level) for i in (0, 1))
    least, most = max(few or 1000, n + 1), max(many or 1000, n + 1)
    said = f"about {least} seeds" if least == most else f"about {least} to {most} seeds"
    said += "" if many else " or more"
    beyond = f" (beyond the last declared look, n = {max(study.looks)})" if least > max(study.looks) else ""
    return f"{following}; {said}{beyond} would tell, if gap and spread stay as they are"


def _failed(deep: Sample, shallow: Sample) -> str:
    return f"{deep.failures} of {len(deep.values)} failed against {shallow.failures} of {len(shallow.values)}"


def _permutable(n: int, p: float, level: float, looks: Sequence[int]) -> str:
    """What permutation can and cannot say at n; more seeds help for sure only while p is the smallest possible."""
    smallest = 1 / math.comb(2 * n, n)
    if p > smallest * (1 + 1e-9) or smallest <= level:
        ahead = next((f"; next look at n = {look}" for look in looks if look > n), "")
        return f"p = {p:.2g} where {level:.2g} is needed{ahead}"
    enough = seeds_to_permute(level)
    said = f"p = {smallest:.2g} is the smallest n = {n} can give and {level:.2g} is needed"
    look = next((look for look in looks if look >= enough), None)
    if look is None:
        return f"{said}: n = {enough}, and no look is declared there"
    more = look - n
    return f"{said}; {more} more seed{'s' * (more != 1)} settle{'s' * (more == 1)} it if they go the same way"
