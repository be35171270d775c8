"""How long a run will take, from the speeds that finished runs recorded; without a record there is no number."""

import heapq
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reslab.runs.folder import RunFolder, read_json
from reslab.runs.integrity import of_result
from reslab.runs.plan import experiments, plan_file, read_plan

FINISHED = ("trained", "at_chance")
FAR = 1.5  # works apart by less than this factor make no line: noise would tilt it
NET = ("block", "order", "shortcut", "norm", "net", "depth", "width", "macs", "batch")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decides how long a run takes; None means that it is not known and does not matter."""

    cell: str
    net: tuple[Any, ...]
    data: str
    precision: str
    macs: int
    batch: int
    steps: int
    images: int | None = None  # training, validation and test images scored at the end
    threads: int | None = None
    gpu: bool | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Wanted | None":
        """From a line of a plan; None where a user's own layer hides the multiply-adds."""
        if entry.get("macs") is None:
            return None
        own = {name: entry[name] for name in ("cell", "data", "precision", "macs", "batch", "steps")}
        return cls(net=tuple(entry[name] for name in NET), **own)

    @property
    def work(self) -> float:
        """Multiply-adds of the forward pass of one step."""
        return float(self.macs) * self.batch


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What one finished run took: seconds per step, to start and stop, and to measure."""

    run: Wanted
    step: float
    start: float
    measure: float


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


def recorded(outputs: Path) -> list[Speed]:
    """Speeds of every finished run under `outputs` that was trained on a machine like this one."""
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    for name in experiments(outputs):
        with suppress(ValueError):  # a plan of another schema tells nothing here
            entries |= {(entry["cell"], entry["seed"]): entry for entry in read_plan(plan_file(outputs, name))}
    found = (_speed(outputs, entry) for entry in entries.values())
    return [speed for speed in found if speed is not None]


def _speed(outputs: Path, entry: dict[str, Any]) -> Speed | None:
    try:
        result = read_json(RunFolder(outputs / entry["folder"]).result)
        run = Wanted.of(entry)
        if run is None or result is None or of_result(result, entry) or result["outcome"] not in FINISHED:
            return None  # a diverged run stopped early and measured nothing
        hardware, times = result["hardware"], result["times"]
        if not _like_this_machine(hardware):
            return None
        step = run.batch / result["images_per_second"]
        start = times["build"] + times["open"] + times["close"]
        measure = max(times["fit"] - step * result["step"], 0.0) + times["evaluate"]
        images = sum(result[part]["n"] for part in ("train", "validation", "test") if part in result)
        known = {"images": images, "threads": hardware["threads"], "gpu": hardware["device"] != "cpu"}
        return Speed(run=Wanted(**{**vars(run), **known}), step=step, start=start, measure=measure)
    except (KeyError, TypeError, ZeroDivisionError):  # an older record without these figures
        return None


def _like_this_machine(hardware: dict[str, Any]) -> bool:
    here = {"machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count()}
    return all(hardware[name] == value for name, value in here.items())


def distinct(estimates: Iterable[Estimate]) -> int:
    """How many recorded runs stand behind several estimates."""
    return len({id(speed) for found in estimates for speed in found.sources})


def estimate(wanted: Wanted, speeds: Iterable[Speed]) -> Estimate | None:
    """From runs of the same cell, else of the same net, else scaled by multiply-adds; None without such a record."""
    alike = [speed for speed in speeds if _comparable(wanted, speed.run)]
    same_data = [speed for speed in alike if speed.run.data == wanted.data]
    if not same_data and wanted.images is None:
        return None
    pool = same_data or alike
    for basis, chosen in (
        ("the same cell", [speed for speed in pool if speed.run.cell == wanted.cell]),
        ("the same net", [speed for speed in pool if speed.run.net == wanted.net]),
    ):
        if chosen:
            return _estimate(wanted, chosen, median(speed.step for speed in chosen), basis)
    return _scaled(wanted, pool) if pool else None


def _comparable(wanted: Wanted, run: Wanted) -> bool:
    pairs = ((wanted.threads, run.threads), (wanted.gpu, run.gpu))
    return wanted.precision == run.precision and all(asked is None or asked == found for asked, found in pairs)


def _scaled(wanted: Wanted, pool: Sequence[Speed]) -> Estimate:
    """A line through the nearest recorded work and the next one clearly apart from it; one alone is proportional."""
    by_distance = sorted(pool, key=lambda speed: _distance(speed.run.work, wanted.work))
    near = by_distance[0].run.work
    first = [speed for speed in pool if speed.run.work == near]
    step = median(speed.step for speed in first) * wanted.work / near
    apart = [speed for speed in by_distance if _distance(speed.run.work, near) >= FAR]
    if apart:
        far = apart[0].run.work
        second = [speed for speed in pool if speed.run.work == far]
        line = _line(first, second)
        if line is not None:
            fixed, slope = line
            return _estimate(wanted, first + second, fixed + slope * wanted.work, "nets of other sizes, by MACs")
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
