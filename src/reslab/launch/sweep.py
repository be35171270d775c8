"""Runs a list of jobs on this machine: each once, each in a process of its own, whatever happens to the others."""

import contextlib
import math
import multiprocessing.connection
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from reslab.launch import resources, server
from reslab.launch.console import Console
from reslab.launch.freeze import Job
from reslab.runs.folder import read_json, write_json
from reslab.runs.plan import add_to_plan, plan_file
from reslab.runs.status import attempts, state, write_status

SMALL_STEP = 2e9  # multiply-adds of a forward pass over a batch; digits nets stay below, CIFAR nets above


@dataclass
class Sweep:
    """The state that outlives Hydra: what was asked for and what became of it."""

    plan_only: bool = False
    console: Console = field(default_factory=Console)
    jobs: dict[tuple[str, int], Job] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], str] = field(default_factory=dict)

    def run(self, jobs: list[Job]) -> list[float | None]:
        """Plan, skip what is done, run the rest; the objective of each job in order (None: it failed)."""
        unique = {(job.cell, job.seed): job for job in jobs}
        config = jobs[0].config
        slots = resources.concurrent(config["jobs"], config["trainer"]["accelerator"], len(unique))
        if self.plan_only:
            self.jobs |= unique
            return [0.0] * len(jobs)
        states = {key: state(job.folder) for key, job in unique.items()}
        pending = [job for key, job in unique.items() if states[key] not in ("ended", "running", "other schema")]
        write_plan(list(unique.values()))
        self.console.header(list(unique.values()), pending)
        if pending:
            server.warm()
            prepare(pending)
        self.jobs |= unique
        self.outcomes |= {key: "elsewhere" if found == "running" else found for key, found in states.items()}
        if pending:
            Pool(pending, slots, self).run()
        return [objective(job) for job in jobs]

    @property
    def failed(self) -> list[Job]:
        """Jobs without a result."""
        return [self.jobs[key] for key, outcome in self.outcomes.items() if outcome == "failed"]


def write_plan(jobs: list[Job]) -> None:
    """One line per run, before the first one starts. ValueError where outputs cannot be written."""
    outputs, experiment = Path(jobs[0].config["outputs"]), jobs[0].config["run"]["experiment"]
    try:
        add_to_plan(plan_file(outputs, experiment), [job.entry() for job in jobs])
    except OSError as error:
        raise ValueError(
            f"outputs={outputs} cannot be written ({error.strerror}); use outputs=FOLDER with another folder"
        ) from error


def prepare(jobs: list[Job]) -> None:
    """Decode and check each data set once, in a process of its own; ValueError with its complaint."""
    from reslab.launch.prepare import prepare_data  # torch is imported in the child, not here

    done = set()
    for job in jobs:
        key = job.config["data"]["fingerprint"], repr(job.config["data"]["rows"])
        if key in done:
            continue
        done.add(key)
        problem = prepare_data(job.config)
        if problem:
            raise ValueError(problem)


def objective(job: Job) -> float | None:
    """Clean training error for sweepers that minimise; 1 if diverged, None if there is no result."""
    result = read_json(job.folder.result)
    if result is None or result.get("outcome") == "failed":
        return None
    return float(result.get("train", {}).get("error", 1.0))


@dataclass
class Running:
    """A job with its process, its slot and its lock."""

    job: Job
    process: BaseProcess
    slot: int
    lock: contextlib.ExitStack
    began: float


class Pool:
    """`slots` jobs at a time until none is left."""

    def __init__(self, pending: list[Job], slots: int, sweep: Sweep) -> None:
        """Every worker gets one slot: a GPU, or cores // slots threads."""
        self._waiting, self._slots, self._sweep = list(pending), slots, sweep
        self._threads = max(1, resources.cores() // slots)
        self._running: list[Running] = []

    def run(self) -> None:
        """Start, wait, collect; on Ctrl-C or SIGTERM every worker is ended and its run marked interrupted."""
        console = self._sweep.console
        console.begin(self._waiting)
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self._slots:
                    self._start(self._waiting.pop(0))
                if self._running:
                    multiprocessing.connection.wait([r.process.sentinel for r in self._running], timeout=0.5)
                for running in [r for r in self._running if not r.process.is_alive()]:
                    self._collect(running)
                console.progress([running.job for running in self._running])
        finally:
            self._stop()
            console.end()

    def _start(self, job: Job) -> None:
        lock = contextlib.ExitStack()
        slot = min(set(range(self._slots)) - {r.slot for r in self._running})
        try:
            free = lock.enter_context(job.folder.locked())
            if not free or state(job.folder) == "ended":  # another command has it, or had it since we looked
                self._sweep.outcomes[job.cell, job.seed] = "elsewhere" if not free else "ended"
                lock.close()
                return
            freeze(job, self._threads)
            on_gpu = job.config["trainer"]["accelerator"] == "gpu"
            process = server.start(
                _work,
                (str(job.folder.path),),
                log=job.folder.log,
                environment={"CUDA_VISIBLE_DEVICES": str(slot)} if on_gpu else {},
                threads=_threads(job, self._threads),
            )
        except (OSError, RuntimeError) as error:  # this run cannot be started; the others can
            lock.close()
            self._end(job, "failed", f"{type(error).__name__}: {error}", 0.0)
            return
        self._running.append(Running(job, process, slot, lock, time.monotonic()))

    def _collect(self, running: Running) -> None:
        self._running.remove(running)
        running.process.join()
        result, code = read_json(running.job.folder.result), running.process.exitcode
        reason = ""
        if result is None:
            reason = f"killed by signal {-code} ({signal.Signals(-code).name})" if code and code < 0 else ""
            reason = reason or f"ended with exit code {code} without a result"
            with contextlib.suppress(OSError):
                write_json(running.job.folder.result, {"outcome": "failed", "reason": reason})
        outcome = result["outcome"] if result else "failed"
        reason = reason or (result or {}).get("reason") or ""
        running.lock.close()
        self._end(running.job, outcome, reason, time.monotonic() - running.began)

    def _end(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        self._sweep.outcomes[job.cell, job.seed] = outcome
        self._sweep.console.finished(job, outcome, reason, seconds)

    def _stop(self) -> None:
        """End what still runs; reached with workers alive only through Ctrl-C, SIGTERM or our own error."""
        for running in self._running:
            running.process.terminate()
        for running in self._running:
            running.process.join(timeout=5)
            if running.process.is_alive():
                running.process.kill()
                running.process.join()
            status = read_json(running.job.folder.status) or {}
            facts: dict[str, Any] = {
                key: status[key] for key in ("attempt", "origin", "step", "steps") if key in status
            }
            if read_json(running.job.folder.result) is None:
                with contextlib.suppress(OSError):
                    write_status(running.job.folder, "interrupted", facts)
            self._sweep.outcomes[running.job.cell, running.job.seed] = "interrupted"
            running.lock.close()
        for job in self._waiting:
            self._sweep.outcomes[job.cell, job.seed] = "not started"
        self._running = []


def freeze(job: Job, threads: int) -> None:
    """Write the config that the worker reads, and a fresh status; a resumed run keeps its number of threads."""
    folder = job.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    resumable = folder.checkpoints.exists() and any(folder.checkpoints.glob("*.ckpt"))
    config: dict[str, Any] = job.config
    config["trainer"]["threads"] = _threads(job, threads)
    if resumable:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, YAMLError):  # torn: nothing to keep
            old: Any = OmegaConf.to_container(OmegaConf.load(folder.config))
            config["trainer"]["threads"] = int(old["trainer"]["threads"])
    folder.result.unlink(missing_ok=True)
    beside = folder.config.with_name(f".config.{os.getpid()}")
    OmegaConf.save(OmegaConf.create(config), beside)
    beside.replace(folder.config)
    before = attempts(folder)
    attempt = before[0] + 1
    write_status(folder, "running", {"attempt": attempt, "origin": before[1] or attempt, "step": 0})


def _threads(job: Job, share: int) -> int:
    """What was asked for; `auto` is one for nets too small to gain from a second, so that they never differ in it."""
    threads = job.config["trainer"]["threads"]
    if threads != "auto":
        return threads
    work = job.config["recipe"]["batch"] * (job.cost.macs if job.cost is not None else math.inf)
    return 1 if work < SMALL_STEP else share


def _work(path: str) -> None:
    from reslab.launch.worker import run  # imported in the fork server already

    run(path)
