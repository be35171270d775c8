"""Runs jobs side by side, each in processes of its own; whatever happens to one does not touch the others."""

import contextlib
import multiprocessing.connection
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from reslab.launch import gpus, resources
from reslab.launch.begin import begin
from reslab.launch.freeze import Job
from reslab.launch.nodes import HERE, Node
from reslab.launch.ranks import Place, Ranks, Work
from reslab.launch.sharing import share_of, threads_of
from reslab.runs.folder import read_json, write_json
from reslab.runs.status import interrupt, state

LENDING = 600.0  # seconds, as long as the first node's ranks wait for others


def train(path: str, place: Place) -> None:
    """What a worker does with a run folder."""
    from reslab.launch.worker import run  # imported in the fork server already

    run(path, place)


@dataclass
class Running:
    """A job with its ranks, and what it holds: the run's lock and its GPUs."""

    job: Job
    ranks: Ranks
    held: contextlib.ExitStack
    began: float


@runtime_checkable
class Listener(Protocol):
    """Who is told how a pool gets on: `console.Console`, or nobody."""

    def begin(self, pending: Sequence[Job]) -> None:
        """The first run is about to start."""
        ...

    def progress(self, running: Sequence[Job]) -> None:
        """Called twice a second."""
        ...

    def waiting(self, job: Job) -> None:
        """No GPU is free."""
        ...

    def finished(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        """A run has ended."""
        ...

    def end(self) -> None:
        """Nothing runs any more."""
        ...


class Pool:
    """`slots` jobs at a time until none is left."""

    def __init__(
        self,
        pending: list[Job],
        slots: int,
        console: Listener,
        outcomes: dict[tuple[str, int], str],
        *,
        work: Work = train,
        node: Node = HERE,
        cores: int | None = None,
    ) -> None:
        """Each job gets its share of `cores` (all), or of GPUs; what becomes of it goes into `outcomes`.

        The longest start first, so that none of them is left at the end with the machine to itself.
        """
        self._waiting = sorted(pending, key=lambda job: job.work, reverse=True)  # equals stay in order
        self._slots, self._console, self._outcomes = slots, console, outcomes
        self._cores = cores
        self._work, self._node = work, node
        self._running: list[Running] = []

    def run(self) -> None:
        """Start, wait, collect; on Ctrl-C or SIGTERM every worker is ended and its run marked interrupted."""
        console = self._console
        console.begin(self._waiting)
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self._slots and self._start(self._waiting[0]):
                    self._waiting.pop(0)
                self._wait()
                for running in [r for r in self._running if r.ranks.over()]:
                    self._collect(running)
                console.progress([running.job for running in self._running])
        finally:
            self._stop()
            console.end()

    def lend(self, job: Job) -> tuple[str, str, float]:
        """Add this node's ranks to a run that the first node locks, freezes and records."""
        began = time.monotonic()
        job.folder.path.mkdir(parents=True, exist_ok=True)  # for its logs, should it be here before the first node
        with contextlib.ExitStack() as held:
            while (environment := self._devices(job, held)) is None:
                if time.monotonic() - began > LENDING:
                    return "failed", f"no {job.config['devices']} GPUs came free on this node", LENDING
                time.sleep(0.5)
            ranks = self._ranks(job, environment)
            try:
                while not ranks.over():
                    multiprocessing.connection.wait(ranks.sentinels, timeout=0.5)
            finally:
                ranks.stop()
        result = read_json(job.folder.result)
        outcome = str(result["outcome"]) if result else "failed"
        return outcome, "" if result else ranks.reason, time.monotonic() - began

    def _wait(self) -> None:
        sentinels = [sentinel for running in self._running for sentinel in running.ranks.sentinels]
        if sentinels:
            multiprocessing.connection.wait(sentinels, timeout=0.5)
        elif self._waiting and not self._running:
            time.sleep(0.5)  # another command has the GPUs

    def _start(self, job: Job) -> bool:
        """Whether the job is dealt with; False where it must wait for a GPU."""
        held = contextlib.ExitStack()
        try:
            free = held.enter_context(job.folder.locked())
            if not free or state(job.folder) == "ended":  # another command has it, or had it since we looked
                self._outcomes[job.cell, job.seed] = "elsewhere" if not free else "ended"
                held.close()
                return True
            environment = self._devices(job, held)
            if environment is None:
                held.close()
                return False
            ranks = self._begun(job, environment)
        except (OSError, RuntimeError) as error:  # this run cannot be started; the others can
            held.close()
            self._end(job, "failed", f"{type(error).__name__}: {error}", 0.0)
            return True
        self._running.append(Running(job, ranks, held, time.monotonic()))
        return True

    def _begun(self, job: Job, environment: dict[str, str]) -> Ranks:
        begin(job, self._share(job))
        try:
            return self._ranks(job, environment)
        except (OSError, RuntimeError) as error:  # the status says running already
            with contextlib.suppress(OSError):
                write_json(job.folder.result, {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"})
            raise

    def _ranks(self, job: Job, environment: dict[str, str]) -> Ranks:
        threads = threads_of(job, self._share(job))
        return Ranks(job.folder, job.config, work=self._work, threads=threads, environment=environment, node=self._node)

    def _share(self, job: Job) -> int:
        return share_of(job, self._slots, self._cores)

    def _devices(self, job: Job, held: contextlib.ExitStack) -> dict[str, str] | None:
        if job.config["trainer"]["accelerator"] != "gpu":
            return {}
        if self._cores is not None:  # of a cluster, which numbers each job's GPUs from 0: to locks they are the same
            return {"CUDA_VISIBLE_DEVICES": ",".join(resources.gpu_names()[: job.config["devices"]])}
        names = gpus.take(job.config["devices"], held, job.config["runs_per_gpu"])
        if names is None:
            self._console.waiting(job)
            return None
        return {"CUDA_VISIBLE_DEVICES": names}

    def _collect(self, running: Running) -> None:
        self._running.remove(running)
        result, reason = read_json(running.job.folder.result), ""
        if result is None:
            reason = running.ranks.reason
            try:
                write_json(running.job.folder.result, {"outcome": "failed", "reason": reason})
            except OSError as error:  # a full disk: the worker could not write either what was wrong
                reason = f"{reason}; {error}"
        outcome = result["outcome"] if result else "failed"
        reason = reason or (result or {}).get("reason") or ""
        running.held.close()
        self._end(running.job, outcome, reason, time.monotonic() - running.began)

    def _end(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        self._outcomes[job.cell, job.seed] = outcome
        self._console.finished(job, outcome, reason, seconds)

    def _stop(self) -> None:
        """End what still runs; reached with workers alive only through Ctrl-C, SIGTERM or our own error."""
        for running in self._running:  # said first: a second Ctrl-C may come at any moment
            self._outcomes[running.job.cell, running.job.seed] = "interrupted"
        for job in self._waiting:
            self._outcomes[job.cell, job.seed] = "not started"
        for running in self._running:
            running.ranks.end()
        for running in self._running:
            running.ranks.stop()
            if read_json(running.job.folder.result) is None:
                with contextlib.suppress(OSError):
                    interrupt(running.job.folder)
            running.held.close()
        self._running = []
