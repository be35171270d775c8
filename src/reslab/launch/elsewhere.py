"""Runs that are started away from this process: what is called there, and how it is told here what became of them."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reslab.launch.console import Console
from reslab.launch.engines import Outcomes
from reslab.launch.freeze import Job
from reslab.launch.nodes import only_lends
from reslab.launch.one import run_one
from reslab.runs.folder import RunFolder, read_json, write_json
from reslab.runs.status import LOST, interrupt, state

ENDING = 10.0  # seconds that processes need to end once they are told to

Stamp = tuple[int, int] | None


@dataclass(frozen=True)
class Home:
    """Where the command was given: its folder and its import path hold for its runs on other machines too."""

    folder: str
    path: tuple[str, ...]

    @classmethod
    def here(cls) -> "Home":
        """This process's own."""
        return cls(os.getcwd(), tuple(sys.path))


def run_at(home: Home, job: Job, cores: int | None) -> None:
    """Run a job in another process, perhaps on another machine, with `cores` (all); its records tell how it went."""
    os.chdir(home.folder)
    sys.path.extend(entry for entry in home.path if entry not in sys.path)
    if not only_lends(job.config["num_nodes"]):
        wait_for(job.folder, LOST)  # it may have been moved from a machine that was lost a moment ago
    run_one(job, cores)


def wait_for(folder: RunFolder, seconds: float) -> bool:
    """Whether nobody works on a run; looks again and again for so long."""
    end = time.monotonic() + seconds
    while True:
        with folder.locked() as free:
            if free or state(folder) == "ended":
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.5)


class Ledger:
    """What becomes of runs that others start, read from their folders: no exit code, no pickle and no word counts."""

    def __init__(self, pending: list[Job], console: Console, outcomes: Outcomes) -> None:
        """Made before the first of them can have started."""
        self._left = {(job.cell, job.seed): job for job in pending}
        self._before = {key: _stamps(job.folder) for key, job in self._left.items()}
        self._console, self._outcomes, self._began = console, outcomes, time.monotonic()
        console.begin(pending)

    @property
    def left(self) -> int:
        """How many are not over."""
        return len(self._left)

    @property
    def running(self) -> list[Job]:
        """Those that have begun and are not over."""
        return [job for job in self._left.values() if (read_json(job.folder.status) or {}).get("state") == "running"]

    def close(self, job: Job, why: str, *, stopped: bool = False) -> None:
        """A job is over: record its outcome, and `why` where it left no result; `stopped`: through no fault of its."""
        key = job.cell, job.seed
        del self._left[key]
        outcome, reason = self._outcome(job, why, stopped)
        self._outcomes[key] = outcome
        times = (read_json(job.folder.result) or {}).get("times")
        seconds = sum(times.values()) if isinstance(times, dict) else time.monotonic() - self._began
        self._console.finished(job, outcome, reason, seconds)

    def end(self) -> None:
        """Nothing runs any more: what is not over was interrupted, or never began."""
        for key, job in self._left.items():
            outcome = self._outcome(job, "", stopped=True)[0] if self._has_begun(job) else "not started"
            self._outcomes[key] = outcome
        self._left = {}
        self._console.end()

    def _outcome(self, job: Job, why: str, stopped: bool) -> tuple[str, str]:
        if self._result(job) is None and not wait_for(job.folder, ENDING):
            return "elsewhere", "another command has it"
        result = self._result(job)
        if result is None:
            return self._settle(job, why, stopped)
        return str(result.get("outcome")), str(result.get("reason") or "")

    def _settle(self, job: Job, why: str, stopped: bool) -> tuple[str, str]:
        status = read_json(job.folder.status) or {}
        if stopped or (self._has_begun(job) and status.get("state") == "interrupted"):
            interrupt(job.folder)
            return "interrupted", why
        write_json(job.folder.result, {"outcome": "failed", "reason": why})
        return "failed", why

    def _result(self, job: Job) -> dict[str, Any] | None:
        """The result, unless it is the one that an earlier attempt left."""
        stamp = _stamp(job.folder.result)
        return read_json(job.folder.result) if stamp != self._before[job.cell, job.seed][0] else None

    def _has_begun(self, job: Job) -> bool:
        return _stamps(job.folder) != self._before[job.cell, job.seed]


def _stamps(folder: RunFolder) -> tuple[Stamp, Stamp]:
    return _stamp(folder.result), _stamp(folder.status)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
