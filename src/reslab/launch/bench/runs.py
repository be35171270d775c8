"""Short real trainings through the real engine: what a run costs beside its steps, and what it gains to run many."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console as Terminal

from reslab.launch import resources, server
from reslab.launch.bench.figures import Figure, Measured, Sheet
from reslab.launch.bench.watch import CLOCK, Parts, Timed, middle, parts
from reslab.launch.compose import composer
from reslab.launch.console import Console
from reslab.launch.engines import Outcomes
from reslab.launch.freeze import Job
from reslab.launch.local import freeze_all
from reslab.launch.pool import Pool
from reslab.launch.sweep import Sweep
from reslab.runs.folder import read_json
from reslab.runs.status import DONE

SHORT = 20  # steps of a run whose training does not count
FIXED = ("trainer=cpu", "tracking=wandb", "tracking.mode=offline")
THREADS = 2  # of each run, where runs go one after another


@dataclass
class Ends:
    """When each run had ended, seen from the parent."""

    at: dict[tuple[str, int], float] = field(default_factory=dict)

    def begin(self, pending: Sequence[Job]) -> None:
        """Nothing is said."""

    def progress(self, running: Sequence[Job]) -> None:
        """Nothing is said."""

    def waiting(self, job: Job) -> None:
        """RuntimeError: another command has the GPU, and what runs take in its wake means nothing."""
        raise RuntimeError(f"{job.name} has to wait: another command holds the GPU; measure when it has ended")

    def finished(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        """RuntimeError for a run that failed: what it took means nothing."""
        if outcome not in DONE:
            raise RuntimeError(f"{job.name} {outcome}: {reason or job.folder.log}")
        self.at[job.cell, job.seed] = time.monotonic()

    def end(self) -> None:
        """Nothing is said."""


@dataclass
class Here:
    """This machine, so many runs at a time; what the launch of all of them took, in seconds."""

    slots: int
    ends: Ends = field(default_factory=Ends)
    seconds: float = 0.0

    @property
    def gpus(self) -> int | None:
        """As an engine that gives none; what shares a GPU finds it by itself."""
        return 0

    def check(self, jobs: list[Job]) -> None:
        """Nothing is asked for that could be missing."""

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """As the local engine does."""
        began = time.monotonic()
        Pool(pending, self.slots, self.ends, outcomes, work=Timed()).run()
        self.seconds = time.monotonic() - began


def measure(*, depths: Sequence[int], seeds: int, steps: int, repeats: int, folder: Path) -> Measured:
    """Cost of a run at each depth, the start of a command, and a sweep side by side against one after another.

    The limit of the last is what a run gains by more threads than one: the same runs, one by one, with one thread each.
    """
    server.context()
    costs = _costs(depths, repeats, folder)
    cold = [_cold(folder / f"cold-{repeat}") for repeat in range(repeats)]
    slots, number = resources.cores(), 2 * len(depths) * seeds
    axes = {"shortcut": ("none", "identity"), "depth": depths, "seed": range(seeds), "recipe.steps": (steps,)}
    together, alone, single = [], [], []
    for repeat in range(repeats):  # in turn, so that all see the same machine
        print(
            f"{number} runs of {steps} steps, side by side, and one by one twice: {repeat + 1} of {repeats}", flush=True
        )
        together.append(_sweep(axes, slots, folder / f"together-{repeat}", "trainer.threads=1").seconds)
        alone.append(_sweep(axes, 1, folder / f"alone-{repeat}", f"trainer.threads={THREADS}").seconds)
        single.append(_sweep(axes, 1, folder / f"single-{repeat}", "trainer.threads=1").seconds)
    of = f"{number} runs of {steps} steps"
    deepest = max(depths)
    figures = [
        *(
            Figure(f"a run of depth {depth} beside its steps, clean scores included", costs[depth].whole, "s", 0.8)
            for depth in sorted({min(depths), deepest})
        ),
        Figure(f"a run of depth {deepest} beside its steps and clean scores", costs[deepest].fixed, "s"),
        Figure("the same at all depths, on average", mean(cost.fixed for cost in costs.values()), "s"),
        Figure("from the start of a command to that of its first run", median(cold), "s"),
        Figure(f"{of}, {slots} at a time with one thread each", median(together), "s"),
        Figure(f"{of}, one after another with {THREADS} threads each", median(alone), "s"),
        Figure(f"{of}, one after another with one thread each", median(single), "s"),
        Figure(f"{of}: side by side over one after another", ratio(alone, together), "x", least=1.6),
        Figure(f"{of}: the same if no run cost another a moment", slots * ratio(alone, single), "x"),
        Figure(f"{of}: side by side", 3600 * number / median(together), "runs per hour"),
    ]
    return Measured(figures, [_sheet(costs, repeats)])


def _costs(depths: Sequence[int], repeats: int, folder: Path) -> dict[int, Parts]:
    """One run at a time, all depths in turn; a run before them loads what the machine has not read yet."""
    print(f"runs of {SHORT} steps at depths {', '.join(map(str, depths))}, {repeats} times each", flush=True)
    short = {"shortcut": ("none",), "recipe.steps": (SHORT,), "evaluation.points": (1,)}
    _sweep({**short, "depth": depths[:1], "seed": (0,)}, 1, folder / "first", "trainer.threads=1")
    found: dict[int, list[Parts]] = {depth: [] for depth in depths}
    for seed in range(repeats):  # a sweep each: within one the longest runs come first
        axes = {**short, "seed": (seed,), "depth": depths}
        swept = _sweep(axes, 1, folder / f"costs-{seed}", "trainer.threads=1")
        for job in swept.jobs:
            result, clock = read_json(job.folder.result) or {}, read_json(job.folder.path / CLOCK) or {}
            found[job.config["depth"]].append(parts(result, clock, swept.ends.at[job.cell, job.seed]))
    return {depth: middle(runs) for depth, runs in found.items()}


@dataclass
class Swept:
    """Jobs of one sweep, when each had ended, and the seconds of all."""

    jobs: list[Job]
    ends: Ends
    seconds: float


def _sweep(axes: dict[str, Sequence[Any]], slots: int, outputs: Path, *settings: str) -> Swept:
    return sweep(axes, slots, outputs, *FIXED, *settings)


def sweep(axes: dict[str, Sequence[Any]], slots: int, outputs: Path, *settings: str) -> Swept:
    """Train the grid of `axes` with these words of a command line, `slots` at a time; RuntimeError where one fails."""
    words = [[f"{key}={value}" for value in values] for key, values in axes.items()]
    points = [(f"outputs={outputs}", *settings, *point) for point in product(*words)]
    with composer("train") as one:
        jobs = freeze_all(one, points)
    engine = Here(slots)
    with open(os.devnull, "w") as nowhere:
        Sweep(console=Console(Terminal(file=nowhere, width=160))).run(jobs, engine)
    return Swept(jobs, engine.ends, engine.seconds)


def _cold(outputs: Path) -> float:
    """Seconds from the start of `reslab train` to the moment before its run is forked: its config is written then."""
    words = [*FIXED, f"outputs={outputs}", "shortcut=none", "depth=8", "seed=0", f"recipe.steps={SHORT}"]
    began = time.time()
    ended = subprocess.run([sys.executable, "-m", "reslab", "train", *words], capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"reslab train ended with exit code {ended.returncode}: {ended.stderr[-500:]}")
    (config,) = outputs.glob("runs/*/seed=0/config.yaml")
    return config.stat().st_mtime - began


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """The median of the ratios of pairs."""
    return median(s / f for s, f in zip(slow, fast, strict=True))


def _sheet(costs: dict[int, Parts], repeats: int) -> Sheet:
    names = [one.name for one in fields(Parts)] + ["whole"]
    rows = [(str(depth), *(f"{getattr(cost, name):.3f}" for name in names)) for depth, cost in costs.items()]
    title = f"seconds of a run beside its steps, W&B offline, one run at a time: the one of median cost of {repeats}"
    return Sheet(title, ("depth", *names), rows)
