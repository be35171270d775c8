"""How long a run will take, from the speeds that finished runs recorded; without a record there is no number."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from reslab.runs.speeds import Speed, Wanted

FAR = 1.5  # works apart by less than this factor make no line: noise would tilt it


@dataclass(frozen=True)
class Estimate:
    """Seconds of a whole run and of its steps alone, what they were taken from, and in which way."""

    seconds: float
    stepping: float
    sources: tuple[Speed, ...]
    basis: str

    def left(self, done: int, steps: int) -> float:
        """Seconds that remain after `done` of `steps` steps."""
        return self.seconds - self.stepping * min(done / max(steps, 1), 1.0)


@dataclass
class Group:
    """Speeds under one condition, by what a run may have in common with them."""

    cells: dict[str, list[Speed]] = field(default_factory=dict)
    nets: dict[tuple, list[Speed]] = field(default_factory=dict)
    works: dict[float, list[Speed]] = field(default_factory=dict)


class Pace:
    """Speeds, kept such that those like a run are found without a look at all of them."""

    def __init__(self, speeds: Iterable[Speed]) -> None:
        """In any order."""
        self._groups: dict[tuple, Group] = {}
        self._known: dict[Wanted, Estimate | None] = {}
        for speed in speeds:
            run = speed.run
            condition = (run.precision, run.threads, run.gpu, run.runs_per_gpu, run.data)
            group = self._groups.setdefault(condition, Group())
            group.cells.setdefault(run.cell, []).append(speed)
            group.nets.setdefault(run.net, []).append(speed)
            group.works.setdefault(run.work, []).append(speed)

    def estimate(self, wanted: Wanted) -> Estimate | None:
        """From runs of the same cell, else of the same net, else scaled by multiply-adds; None without such a record.

        Seeds of one cell are one question, and get the same answer.
        """
        if wanted not in self._known:
            self._known[wanted] = self._estimate(wanted)
        return self._known[wanted]

    def _estimate(self, wanted: Wanted) -> Estimate | None:
        alike = [(key[-1], group) for key, group in self._groups.items() if _comparable(wanted, *key[:-1])]
        pool = [group for data, group in alike if data == wanted.data]
        if not pool:
            if wanted.images is None:
                return None
            pool = [group for _, group in alike]
        for basis, chosen in (
            ("the same cell", [speed for group in pool for speed in group.cells.get(wanted.cell, ())]),
            ("the same net", [speed for group in pool for speed in group.nets.get(wanted.net, ())]),
        ):
            if chosen:
                return _estimate(wanted, chosen, median(speed.step for speed in chosen), basis)
        works: dict[float, list[Speed]] = {}
        for group in pool:
            for work, speeds in group.works.items():
                works.setdefault(work, []).extend(speeds)
        return _scaled(wanted, works) if works else None


def distinct(estimates: Iterable[Estimate]) -> int:
    """How many recorded runs stand behind several estimates."""
    different = {id(found): found for found in estimates}
    return len({id(speed) for found in different.values() for speed in found.sources})


def _comparable(wanted: Wanted, precision: str, threads: int | None, gpu: bool | None, shared: int | None) -> bool:
    pairs = ((wanted.threads, threads), (wanted.gpu, gpu), (wanted.runs_per_gpu, shared))
    return wanted.precision == precision and all(asked is None or asked == found for asked, found in pairs)


def _scaled(wanted: Wanted, works: dict[float, list[Speed]]) -> Estimate:
    """A line through the nearest recorded work and the next one clearly apart from it; one alone is proportional."""
    by_distance = sorted(works, key=lambda work: (_distance(work, wanted.work), work))
    near = by_distance[0]
    first = works[near]
    step = median(speed.step for speed in first) * wanted.work / near
    far = next((work for work in by_distance if _distance(work, near) >= FAR), None)
    line = _line(first, works[far]) if far is not None else None
    if line is not None and far is not None:
        fixed, slope = line
        return _estimate(wanted, first + works[far], fixed + slope * wanted.work, "nets of other sizes, by MACs")
    return _estimate(wanted, first, step, "the nearest net, by MACs")


def _distance(a: float, b: float) -> float:
    return max(a, b) / max(min(a, b), 1e-9)


def _line(first: Sequence[Speed], second: Sequence[Speed]) -> tuple[float, float] | None:
    """Fixed seconds and seconds per multiply-add; None where either would be negative: then noise speaks."""
    (x1, y1), (x2, y2) = ((group[0].run.work, median(speed.step for speed in group)) for group in (first, second))
    slope = (y2 - y1) / (x2 - x1)
    fixed = y1 - slope * x1
    return (fixed, slope) if slope >= 0 and fixed >= 0 else None


def _estimate(wanted: Wanted, chosen: Sequence[Speed], step: float, basis: str) -> Estimate:
    start = median(speed.start for speed in chosen)
    measure = median(speed.measure * _measuring(wanted, speed.run) for speed in chosen)
    stepping = step * wanted.steps
    return Estimate(start + stepping + measure, stepping, tuple(chosen), basis)


def _measuring(wanted: Wanted, run: Wanted) -> float:
    """How much more there is to measure: multiply-adds per image, times images."""
    images = wanted.images / run.images if wanted.images and run.images else 1.0
    return images * wanted.macs / max(run.macs, 1)


def work(*, macs: int | None, batch: int, steps: int) -> float:
    """Multiply-adds of a training's forward passes, by which the longest runs are found that start first.

    Infinite where a user's own layer hides them: such a run may be the longest.
    """
    return math.inf if macs is None else float(macs) * batch * steps


def makespan(seconds: Sequence[float], slots: int, busy: Sequence[float] = ()) -> float:
    """Time until all are done when `slots` of them run at a time, in order; `busy`: what already runs still needs."""
    free = sorted(busy)[-slots:] + [0.0] * (slots - len(busy))
    heapq.heapify(free)
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free, default=0.0)


def clock(seconds: float) -> str:
    """A duration for people: 1h 05m, 3m 20s, 12s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"
