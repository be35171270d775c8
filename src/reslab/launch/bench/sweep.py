"""Many runs through the real machinery, each training nothing for a known time: the cost of a run beside that."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from rich.console import Console as Terminal

from reslab.launch import resources, server
from reslab.launch.bench import fake, grid
from reslab.launch.console import Console
from reslab.launch.engines import Outcomes
from reslab.launch.freeze import Job
from reslab.launch.pool import Pool
from reslab.launch.sweep import Sweep
from reslab.runs.folder import read_json

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep of fake trainings took. Seconds, MiB; `start` is the mean of the workers', `cpu` the parent's."""

    runs: int
    slots: int
    training: float
    start: float
    planning: float
    planned: float
    """The parent's memory for 1,000 runs that are planned."""
    launching: float
    cpu: float
    memory: tuple[tuple[int, float], ...]
    """The parent's resident memory after so many runs."""

    @property
    def overhead(self) -> float:
        """Seconds for which a slot is held by a run beyond its training and the start of its worker."""
        return self.launching * self.slots / self.runs - self.training - self.start

    @property
    def growth(self) -> float:
        """MiB of the parent for 1,000 runs more, between the first quarter of the runs and the end."""
        early = next(at for at in self.memory if at[0] >= self.runs / 4)
        late = self.memory[-1]
        return 1000 * (late[1] - early[1]) / max(late[0] - early[0], 1)


class Watched:
    """The console, and the parent's memory as runs end."""

    def __init__(self, console: Console) -> None:
        """Everything is passed on to `console`."""
        self._console = console
        self.memory: list[tuple[int, float]] = []

    def begin(self, pending: Sequence[Job]) -> None:
        """Notes the memory before the first run."""
        self._console.begin(pending)
        self.memory.append((0, resident()))

    def progress(self, running: Sequence[Job]) -> None:
        """Notes nothing."""
        self._console.progress(running)

    def waiting(self, job: Job) -> None:
        """Notes nothing."""
        self._console.waiting(job)

    def finished(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        """Notes the memory; RuntimeError for a run that failed, which costs less than one that is recorded."""
        self._console.finished(job, outcome, reason, seconds)
        if outcome != "trained":
            raise RuntimeError(f"{job.name} {outcome}: {reason or job.folder.log}")
        self.memory.append((self.memory[-1][0] + 1, resident()))

    def end(self) -> None:
        """Notes nothing."""
        self._console.end()


@dataclass
class Faked:
    """This machine, with fake trainings of `training` seconds; what the launch of all of them took."""

    training: float
    slots: int = 1
    launching: float = 0.0
    cpu: float = 0.0
    memory: tuple[tuple[int, float], ...] = ()

    @property
    def gpus(self) -> int | None:
        """None are needed."""
        return 0

    def check(self, jobs: list[Job]) -> None:
        """Nothing is asked for that could be missing."""

    def run(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """As the local engine does."""
        self.slots = resources.concurrent("auto", "cpu", len(pending), 1)
        watched, work = Watched(console), fake.Training(self.training)
        began, busy = time.monotonic(), time.process_time()
        Pool(pending, self.slots, watched, outcomes, work=work).run()
        self.launching, self.cpu = time.monotonic() - began, time.process_time() - busy
        self.memory = tuple(watched.memory)


def sweep(runs: int, training: float, outputs: Path) -> Swept:
    """Plan, launch and record `runs` fake trainings of `training` seconds each below `outputs`."""
    server.context()
    engine = Faked(training)
    began, before = time.monotonic(), resident()
    jobs = grid.jobs(runs, outputs)
    planning, planned = time.monotonic() - began, 1000 * (resident() - before) / len(jobs)
    with open(os.devnull, "w") as nowhere:
        Sweep(console=Console(Terminal(file=nowhere, width=160))).run(jobs, engine)
    return Swept(
        runs=len(jobs),
        slots=engine.slots,
        training=training,
        start=mean(_start(job) for job in jobs),
        planning=planning,
        planned=planned,
        launching=engine.launching,
        cpu=engine.cpu,
        memory=engine.memory,
    )


def _start(job: Job) -> float:
    return float((read_json(job.folder.result) or {})["times"]["start"])


def resident() -> float:
    """MiB of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB
