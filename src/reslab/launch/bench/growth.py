"""How the cost of a step, its memory and a sweep grow: each measured beside its limit. No torch in this process."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

from reslab.launch import resources
from reslab.launch.bench import stored
from reslab.launch.bench.race import race
from reslab.launch.bench.runs import sweep
from reslab.launch.bench.steps import in_worker
from reslab.launch.compose import composer
from reslab.launch.construct import describe
from reslab.launch.freeze import resolve
from reslab.specs import NetSpec, cost
from reslab.training.segments import segments

SHARE = 0.25  # of the machine's memory: where more would be kept without checkpointing, that is only computed
FORWARD_AND_BACK = 6  # operations per multiply-add of the net: 2 forward, 4 going back
AGAIN = 2  # those of a second computation
SWEPT: dict[str, Sequence[Any]] = {"shortcut": ("none", "identity"), "depth": (8, 20), "seed": (0, 1)}  # on digits
REPEATS = 3  # of it


@dataclass(frozen=True, kw_only=True)
class Point:
    """A residual net (basic blocks, batch norm, fp32) and a batch: layers, images, channels, pixels."""

    depth: int
    batch: int
    width: int
    size: int
    checkpointing: bool = False

    def words(self) -> list[str]:
        """The command line of a run of it."""
        data = ("data=synthetic", f"data.size={self.size}", "data.channels=3", "data.classes=10", "data.validation=0")
        fixed = ("recipe=he2015", "shortcut=identity", "trainer=cpu", "tracking=disabled")
        sizes = (f"depth={self.depth}", f"width={self.width}", f"recipe.batch={self.batch}")
        rest = (f"data.rows.train={self.batch}", f"trainer.activation_checkpointing={str(self.checkpointing).lower()}")
        return [*data, *fixed, *sizes, *rest]

    def said(self) -> str:
        """In words."""
        how = ", activation checkpointing" if self.checkpointing else ""
        return f"depth {self.depth}, batch {self.batch}, width {self.width}, {self.size} x {self.size}{how}"


BASE = Point(depth=20, batch=128, width=16, size=32)
"""ResNet-20 of He 2015 on CIFAR."""


@dataclass(frozen=True)
class Planned:
    """A point with its config, the operations of a step, and the bytes that it adds by theory."""

    point: Point
    config: Mapping[str, Any]
    operations: int
    stored: int


@dataclass(frozen=True)
class Step:
    """What was found at a point; without numbers where the net would have kept too much."""

    planned: Planned
    seconds: float | None = None
    added: int | None = None
    """Bytes at the peak, beyond those before the first step."""
    peak: int | None = None
    """Bytes of the whole process."""


@dataclass(frozen=True)
class Swept:
    """A fixed sweep at so many jobs at a time, again and again."""

    jobs: int
    runs: int
    seconds: list[float]

    @property
    def per_hour(self) -> float:
        """Runs an hour, in the sweep of median length."""
        return 3600 * self.runs / median(self.seconds)


def check(config: Mapping[str, Any]) -> None:
    """ValueError for what cannot be measured."""
    asked = config["growth"]
    for name in ("depths", "batches", "widths", "sizes", "jobs"):
        if not asked[name] or not all(_counts(value) for value in asked[name]):
            raise ValueError(f"growth.{name}={asked[name]} are not positive whole numbers; use growth.{name}=[8,20]")
    for name in ("steps", "run_steps"):
        if not _counts(asked[name]):
            raise ValueError(f"growth.{name}={asked[name]} measures nothing; use growth.{name}=1 or more")
    plan(points(**{name: asked[name] for name in ("depths", "batches", "widths", "sizes")}))


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def points(
    *, depths: Sequence[int], batches: Sequence[int], widths: Sequence[int], sizes: Sequence[int]
) -> list[Point]:
    """The base with one number changed at a time, and all depths with checkpointing as well; each point once."""
    axes = {"depth": depths, "batch": batches, "width": widths, "size": sizes}
    pairs = [(axis, value) for axis, values in axes.items() for value in values]
    found = [replace(BASE, **{axis: value}) for axis, value in pairs]  # type: ignore[arg-type]  # all of them are int
    found += [replace(BASE, depth=depth, checkpointing=True) for depth in depths]
    return list(dict.fromkeys(found))


def plan(asked: Sequence[Point]) -> list[Planned]:
    """Composed and counted, before anything is measured; ValueError for a net that cannot be."""
    with composer("train") as one:
        configs = [resolve(*one.point(point.words()), gpus=0) for point in asked]
    return [_planned(point, config) for point, config in zip(asked, configs, strict=True)]


def _planned(point: Point, config: Mapping[str, Any]) -> Planned:
    spec = describe(config)
    assert isinstance(spec, NetSpec)
    counts = cost(spec)
    assert counts is not None, "all parts are ours"
    each = FORWARD_AND_BACK + (AGAIN if point.checkpointing else 0)
    held = stored.step_bytes(spec, point.batch, segments if point.checkpointing else None)
    return Planned(point, config, each * counts.macs * point.batch, held)


def measure(planned: Sequence[Planned], steps: int, folder: Path) -> list[Step]:
    """Every point in a process of its own, on all cores, one after another."""
    limit = SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = []
    for at, one in enumerate(planned):
        if one.stored > limit and not one.point.checkpointing:
            print(f"{one.point.said()}: would keep {one.stored / 2**30:.1f} GiB, not run", flush=True)
            found.append(Step(one))
            continue
        said = in_worker(_step, (dict(one.config), steps), folder / f"point-{at}.json", resources.cores())
        found.append(Step(one, median(said["seconds"]), said["added"], said["peak"]))
        print(f"{one.point.said()}: {median(said['seconds']):.3g} s, {said['added'] / 2**20:,.0f} MiB", flush=True)
    return found


def rate(folder: Path) -> float:
    """FLOP/s of the fastest convolution on all cores, in fp32."""
    return float(in_worker(_rate, (), folder / "rate.json", resources.cores())["flops"])


def sweeps(jobs: Sequence[int], steps: int, folder: Path) -> list[Swept]:
    """A small sweep on digits, `steps` steps a run and one thread each, at so many jobs at a time.

    All in turn, REPEATS times, so that all see the same machine; one before them loads what it has not read yet.
    """
    number, fixed = count(), ("trainer=cpu", "trainer.threads=1", "tracking=disabled", f"recipe.steps={steps}")

    def swept(slots: int) -> float:
        one = sweep(SWEPT, slots, folder / f"sweep-{next(number)}", *fixed)
        print(f"{len(one.jobs)} runs, {slots} at a time: {one.seconds:.1f} s", flush=True)
        return one.seconds

    swept(max(jobs))
    taken = race({str(slots): partial(swept, slots) for slots in jobs}, REPEATS)
    runs = prod(len(values) for values in SWEPT.values())
    return [Swept(slots, runs, taken[str(slots)]) for slots in dict.fromkeys(jobs)]


def _step(config: Mapping[str, Any], steps: int, path: str) -> None:
    from reslab.launch.bench.point import step

    step(config, steps, path)


def _rate(path: str) -> None:
    from reslab.launch.bench.point import rate

    rate(path)
