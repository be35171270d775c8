"""How long `status`, `plan` and `report` take, whole commands in processes of their own, with so many runs on disk."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from reslab.launch.begin import begin
from reslab.launch.bench import fake, grid
from reslab.launch.sweep import write_plan
from reslab.runs.status import state, write_status

COMMANDS = ("status", "plan", "report")


@dataclass(frozen=True)
class Took:
    """One command at one number of runs: wall clock and processor seconds."""

    verb: str
    runs: int
    seconds: float
    cpu: float


def fill(runs: int, outputs: Path) -> int:
    """Have at least `runs` runs on disk, each with all of its records, the last one running; how many there are."""
    jobs = grid.jobs(runs, outputs)
    write_plan(jobs)
    for job in jobs:
        if state(job.folder) != "ended":
            begin(job, 1)
            fake.leave_records(job.folder, 1.0)
    last = jobs[-1].folder
    last.result.unlink()
    write_status(last, "running", {"attempt": 1, "origin": 1, "step": 1, "steps": 2, "rate": 1.0})
    return len(jobs)


def measure(verb: str, runs: int, outputs: Path, repeats: int) -> Took:
    """The median of `repeats` runs of the command. RuntimeError where it does not succeed."""
    words = grid.words(runs, outputs) if verb == "plan" else ["experiment=adhoc", f"outputs={outputs}"]
    took = [_once([verb, *words], outputs) for _ in range(repeats)]
    seconds, cpu = (median(values) for values in zip(*took, strict=True))
    return Took(verb, runs, seconds, cpu)


def _once(words: Sequence[str], folder: Path) -> tuple[float, float]:
    said = folder / "said.txt"
    with said.open("wb") as file:
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "reslab", *words], stdout=file, stderr=file)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"reslab {words[0]} ended with exit code {process.returncode}: {said.read_text()[-500:]}")
    return seconds, used.ru_utime + used.ru_stime
