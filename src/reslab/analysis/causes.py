"""What an intervention removes of the plain net's gap, and what it does to the shallow net: to break all is no cure.

Rules, the same for every experiment. `removes`: surely more than half of the gap goes (the lower bound of the share is
above one half). `does not remove`: surely less than half goes (the upper bound is below). Else `undecided`. `harms`:
the shallow net's error rises by more than the study's margin, surely. Both bounds are settled over all planned
interventions and depths together (Holm), at the declared looks, and a share is given only where the gap degrades.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reslab.analysis.contexts import AROUND, Context
from reslab.analysis.contrasts import PLAIN
from reslab.analysis.gaps import DEGRADES, Gap, compare, in_points
from reslab.analysis.removal import HALF, Cells, settle_harms, settle_shares
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import LEVEL, Key, Sample, Settled

NONE = "none"
REMOVES, DOES_NOT_REMOVE, UNDECIDED = "removes", "does not remove", "undecided"
HARMS, HARMLESS, NOT_RUN = "harms", "does not harm", "not run"


@dataclass(frozen=True)
class Cause:
    """One intervention at one depth. Shares are of 1; points are of clean training error; None: cannot be given.

    `lower`, `upper` decide (looks, Holm); `own_lower`, `own_upper` are the 95 % interval of this share alone.
    """

    intervention: str
    context: str
    depth: int
    against: int
    n: int
    look: int | None
    gap_points: float
    removed_points: float
    share: float | None
    own_lower: float | None
    own_upper: float | None
    lower: float | None
    upper: float | None
    lower_level: float | None
    upper_level: float | None
    method: str
    verdict: str
    reason: str
    """Why no share is given; empty where one is."""
    failed_with: int
    """Deep runs with the intervention that count as chance."""
    failed_without: int
    failed_shallow: int
    """Shallow ones, with and without."""
    shallow_n: int
    shallow_points: float | None
    """E(shallow, none) - E(shallow, intervention): below 0 it does worse."""
    shallow_own_lower: float | None
    shallow_own_upper: float | None
    shallow_lower: float | None
    shallow_upper: float | None
    shallow_method: str
    shallow_verdict: str
    left_points: float | None
    """E(deep, intervention) - E(shallow, intervention), with its own 95 % interval."""
    left_lower: float | None
    left_upper: float | None
    frozen_with: float | None = None
    """Share of the deep net's layers that were frozen, averaged over training (`analysis.manipulation`); deep nets."""
    frozen_without: float | None = None


def interventions(found: Sequence[Context]) -> dict[str, Context]:
    """The context of each intervention; of several, the one that is most like the main one in all other axes.

    Empty where the main context has an intervention itself: there is nothing to hold the others against.
    """
    main = next((context for context in found if context.main and context.axes["intervention"] == NONE), None)
    if main is None:
        return {}
    others = [axis for axis in AROUND if axis != "intervention"]

    def alike(context: Context) -> int:
        return sum(context.axes[axis] == main.axes[axis] for axis in others)

    names = dict.fromkeys(str(c.axes["intervention"]) for c in found if c.axes["intervention"] != NONE)
    return {name: max((c for c in found if c.axes["intervention"] == name), key=alike) for name in names}


def causes(found: Sequence[Context], gaps: Sequence[Gap], study: Study) -> list[Cause]:
    """Every intervention at every plain depth that both contexts have, by intervention; `gaps`: of the main context."""
    changed = interventions(found)
    main = next((context for context in found if context.main), None)
    if main is None or not changed:
        return []
    plain = {gap.depth: gap for gap in gaps if gap.shortcut == PLAIN}
    deeper = main.family(study).get(PLAIN, ())[1:]
    keys = [(name, d) for name, context in changed.items() for d in deeper if d in _planned(context)]
    base = main.samples(study)
    cells = {
        key: cells
        for key in keys
        if key[1] in plain and (cells := _cells(base, changed[key[0]].samples(study), plain[key[1]])) is not None
    }
    shares = settle_shares(keys, {key: own for key, own in cells.items() if not _untold(plain[key[1]])}, study)
    shallow = {gap.against for gap in plain.values()}
    besides = [(name, depth) for name, context in changed.items() for depth in sorted(shallow & _planned(context))]
    harmed = {(name, plain[depth].against): own for (name, depth), own in cells.items() if own.beside}
    harms = settle_harms(besides, harmed, study)
    return [
        _cause(key, own, plain[key[1]], shares.get(key), harms, changed[key[0]].words, study)
        for key, own in cells.items()
    ]


def _planned(context: Context) -> set[int]:
    return {int(depth) for shortcut, depth in context.runs.select("shortcut", "depth").iter_rows() if shortcut == PLAIN}


def _cells(base: Mapping[Key, Sample], own: Mapping[Key, Sample], gap: Gap) -> Cells | None:
    """None where nets of this depth with the intervention have no result yet."""
    deep, shallow = (PLAIN, gap.depth), (PLAIN, gap.against)
    return Cells(base[deep], own[deep], base[shallow], own.get(shallow)) if deep in own else None


def _untold(gap: Gap) -> str:
    """Why a gap has no share; empty where it has."""
    return "" if gap.verdict == DEGRADES else f"the gap of depth {gap.depth} itself is not established ({gap.verdict})"


def _cause(
    key: Key, cells: Cells, gap: Gap, settled: Settled | None, harms: Mapping[Key, Settled], context: str, study: Study
) -> Cause:
    n = settled.look if settled else min(len(cell.values) for cell in (cells.deep, cells.changed, cells.shallow))
    own = cells.first(n)
    deep, changed, shallow = (float(np.mean(cell.values)) for cell in (own.deep, own.changed, own.shallow))
    reason = _untold(gap)
    made = None if reason else own.share()
    if made is None and not reason:
        reason = (
            "one seed has no interval" if n < 2 else "a deep net is no worse than its shallow twin, and runs failed"
        )
    return Cause(
        intervention=key[0],
        context=context,
        depth=key[1],
        against=gap.against,
        n=n,
        look=settled.look if settled else None,
        gap_points=POINTS * (deep - shallow),
        removed_points=POINTS * (deep - changed),
        share=made.estimate if made else None,
        own_lower=_finite(made.lower(LEVEL)) if made else None,
        own_upper=_finite(made.upper(LEVEL)) if made else None,
        lower=_finite(settled.lower) if settled else None,
        upper=_finite(settled.upper) if settled else None,
        lower_level=settled.lower_level if settled else None,
        upper_level=settled.upper_level if settled else None,
        method=made.method if made else "",
        verdict=settled.word(HALF, REMOVES, DOES_NOT_REMOVE) if settled else UNDECIDED,
        reason=reason,
        failed_with=own.changed.failures,
        failed_without=own.deep.failures,
        failed_shallow=own.shallow.failures + (own.beside.failures if own.beside else 0),
        **_beside(own, harms.get((key[0], gap.against)), study),
    )


def _beside(cells: Cells, settled: Settled | None, study: Study) -> dict[str, Any]:
    """The shallow net with the intervention: how its error changes, and the gap that is left between the two."""
    if cells.beside is None:
        names = ("points", "own_lower", "own_upper", "lower", "upper")
        none = dict.fromkeys((*(f"shallow_{name}" for name in names), "left_points", "left_lower", "left_upper"))
        return none | {"shallow_n": 0, "shallow_method": "", "shallow_verdict": NOT_RUN}
    n = min(len(cells.beside.values), len(cells.shallow.values))
    shallow, beside = cells.shallow.first(n), cells.beside.first(n)
    fell, fell_lower, fell_upper, method = _difference(shallow, beside)
    left, left_lower, left_upper, _ = _difference(cells.changed, beside)
    return {
        "shallow_n": n,
        "shallow_points": fell,
        "shallow_own_lower": fell_lower,
        "shallow_own_upper": fell_upper,
        "shallow_lower": in_points(-settled.upper) if settled else None,
        "shallow_upper": in_points(-settled.lower) if settled else None,
        "shallow_method": method,
        "shallow_verdict": settled.word(study.delta / POINTS, HARMS, HARMLESS) if settled else UNDECIDED,
        "left_points": left,
        "left_lower": left_lower,
        "left_upper": left_upper,
    }


def _difference(a: Sample, b: Sample) -> tuple[float, float | None, float | None, str]:
    """Mean of a less mean of b in points, its 95 % interval, and how that was made."""
    if min(len(a.values), len(b.values)) < 2:
        return POINTS * float(np.mean(a.values) - np.mean(b.values)), None, None, "one seed"
    made = compare(a, b)
    return POINTS * made.estimate, in_points(made.lower(LEVEL)), in_points(made.upper(LEVEL)), made.method


def _finite(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None
