"""Runs jobs side by side, each in a process of its own; whatever happens to one does not touch the others."""

import contextlib
import math
import multiprocessing.connection
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from omegaconf import OmegaConf

from reslab.launch import resources, server
from reslab.launch.console import Console
from reslab.launch.freeze import Job
from reslab.runs.folder import read_json, write_json
from reslab.runs.status import attempts, state, write_status

SMALL_STEP = 2e9  # multiply-adds of a forward pass over a batch; digits nets stay below, CIFAR nets above


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

    def __init__(self, pending: list[Job], slots: int, console: Console, outcomes: dict[tuple[str, int], str]) -> None:
        """Every worker gets a slot: a GPU, or cores // slots threads. What becomes of a job goes into `outcomes`."""
        self._waiting, self._slots, self._console, self._outcomes = list(pending), slots, console, outcomes
        self._threads = max(1, resources.cores() // slots)
        self._running: list[Running] = []

    def run(self) -> None:
        """Start, wait, collect; on Ctrl-C or SIGTERM every worker is ended and its run marked interrupted."""
        console = self._console
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
                self._outcomes[job.cell, job.seed] = "elsewhere" if not free else "ended"
                lock.close()
                return
            freeze(job, self._threads)
            on_gpu = job.config["trainer"]["accelerator"] == "gpu"
            process = server.start(
                _work,
                (str(job.folder.path),),
                log=job.folder.log,
                environment={"CUDA_VISIBLE_DEVICES": str(slot)} if on_gpu else {},
                threads=threads_of(job, self._threads),
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
        self._outcomes[job.cell, job.seed] = outcome
        self._console.finished(job, outcome, reason, seconds)

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
            self._outcomes[running.job.cell, running.job.seed] = "interrupted"
            running.lock.close()
        for job in self._waiting:
            self._outcomes[job.cell, job.seed] = "not started"
        self._running = []


def freeze(job: Job, threads: int) -> None:
    """Write the config that the worker reads, and a fresh status; a resumed run keeps its number of threads."""
    folder = job.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    resumable = folder.checkpoints.exists() and any(folder.checkpoints.glob("*.ckpt"))
    config: dict[str, Any] = job.config
    config["trainer"]["threads"] = threads_of(job, threads)
    if resumable:
        with contextlib.suppress(Exception):  # a torn file can raise anything, and has nothing to keep
            old: Any = OmegaConf.to_container(OmegaConf.load(folder.config))
            config["trainer"]["threads"] = int(old["trainer"]["threads"])
    folder.result.unlink(missing_ok=True)
    beside = folder.config.with_name(f".config.{os.getpid()}")
    OmegaConf.save(OmegaConf.create(config), beside)
    beside.replace(folder.config)
    before = attempts(folder)
    attempt = before[0] + 1
    write_status(folder, "running", {"attempt": attempt, "origin": before[1] or attempt, "step": 0})


def threads_of(job: Job, share: int) -> int:
    """What was asked for; `auto` is one for nets too small to gain from a second, so that they never differ in it."""
    threads = job.config["trainer"]["threads"]
    if threads != "auto":
        return threads
    work = job.config["recipe"]["batch"] * (job.cost.macs if job.cost is not None else math.inf)
    return 1 if work < SMALL_STEP else share


def _work(path: str) -> None:
    from reslab.launch.worker import run  # imported in the fork server already

    run(path)
