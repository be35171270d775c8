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
from reslab.analysis.verdict import LEVEL, Family, Key, Look, Sample, Settled, settle

DEGRADES, FINE, UNDECIDED = "degrades", "does not degrade", "undecided"
NOTHING = "no run of the shallower depth learned, so there is nothing that depth could have taken away"


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


def family(planned: Iterable[Key], study: Study) -> dict[str, tuple[int, ...]]:
    """Depths by shortcut: those declared, else those planned."""
    keys = list(planned)
    shortcuts = study.shortcuts or tuple(dict.fromkeys(shortcut for shortcut, _ in keys))
    return {s: tuple(sorted(study.depths or {d for name, d in keys if name == s})) for s in shortcuts}


def compare(deep: Sample, shallow: Sample) -> Comparison:
    """Welch; a cell with failures by exact permutation."""
    if deep.failures or shallow.failures:
        return permutation(deep.values, shallow.values)
    return welch(deep.values, shallow.values, floor=max(deep.floor, shallow.floor))


def judge(samples: Mapping[Key, Sample], study: Study, cells: Family) -> list[Gap]:
    """All gaps of one family; its cells without runs are counted by the correction and are not listed."""
    hypotheses = {(s, d): [(s, low) for low in depths if low < d] for s, depths in cells.items() for d in depths[1:]}
    looks = [_look(n, samples, hypotheses) for n in study.looks]
    settled = settle(looks, planned=len(study.looks), margin=study.delta / POINTS)
    found = []
    for key, others in hypotheses.items():
        shallower = [other for other in others if other in samples]
        if key in samples and shallower:
            found.append(_gap(key, shallower, samples, settled.get(key), study))
    return found


def _look(n: int, samples: Mapping[Key, Sample], hypotheses: Mapping[Key, Sequence[Key]]) -> Look:
    ready = {key: sample.first(n) for key, sample in samples.items() if sample.ready >= n}
    found: dict[Key, list[Comparison]] = {
        key: [compare(ready[key], ready[other]) for other in others if key in ready and other in ready]
        for key, others in hypotheses.items()
    }
    return Look(n, found, {key: len(others) for key, others in hypotheses.items()})


def _gap(
    key: Key, shallower: Sequence[Key], samples: Mapping[Key, Sample], settled: Settled | None, study: Study
) -> Gap:
    """Estimate and interval of the same seeds and the same comparisons: those of the look, else all there are."""
    now, others = samples[key], {other: samples[other] for other in shallower}
    deep, seen = now, others
    if settled:
        deep = now.first(settled.look)
        seen = {k: sample.first(settled.look) for k, sample in others.items() if sample.ready >= settled.look}
    best = min(seen, key=lambda other: np.mean(seen[other].values))
    shallow = seen[best]
    lower, upper = (settled.lower, settled.upper) if settled else interim(deep, list(seen.values()))
    verdict = settled.word(study.delta / POINTS, DEGRADES, FINE) if settled else UNDECIDED
    n = min(len(deep.values), len(shallow.values))
    nothing = verdict == FINE and shallow.failures == len(shallow.values)  # that learned: none of it could be lost
    verdict = UNDECIDED if nothing else verdict
    return Gap(
        shortcut=key[0],
        depth=key[1],
        against=best[1],
        n=n,
        look=settled.look if settled else None,
        gap_points=POINTS * float(np.mean(deep.values) - np.mean(shallow.values)),
        lower_points=in_points(lower),
        upper_points=in_points(upper),
        lower_level=settled.lower_level if settled else None,
        upper_level=settled.upper_level if settled else None,
        now_points=POINTS * float(np.mean(now.values) - min(np.mean(other.values) for other in others.values())),
        n_now=min(len(now.values), max(len(other.values) for other in others.values())),
        method=compare(deep, shallow).method if n > 1 else "one seed",
        failures=deep.failures + shallow.failures,
        verdict=verdict,
        needed=NOTHING if nothing else "" if verdict != UNDECIDED else needed(deep, shallow, settled, study),
    )


def interim(deep: Sample, shallower: Sequence[Sample]) -> tuple[float, float]:
    """Bounds before the first look, at the whole level of one hypothesis: they decide nothing."""
    if min(len(deep.values), *(len(shallow.values) for shallow in shallower)) < 2:
        return -math.inf, math.inf
    made = [compare(deep, shallow) for shallow in shallower]
    return max(c.lower(LEVEL / len(made)) for c in made), max(c.upper(LEVEL) for c in made)


def in_points(bound: float) -> float | None:
    """A bound in points, within what an error can be; None where there is none."""
    return None if math.isinf(bound) else POINTS * min(max(bound, -1.0), 1.0)


def needed(deep: Sample, shallow: Sample, settled: Settled | None, study: Study) -> str:
    """What would settle it: the next look, and a range of seeds that follows from how unsure the spread itself is."""
    n = min(len(deep.values), len(shallow.values))
    ahead = [look for look in study.looks if look > n]
    following = f"next look at n = {ahead[0]}" if ahead else "no look is left"
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
