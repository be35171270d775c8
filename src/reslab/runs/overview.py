"""How far an experiment is: one view per planned run, and the time that is left."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reslab.runs.fields import number
from reslab.runs.folder import RunFolder
from reslab.runs.integrity import TORN, of_records
from reslab.runs.pace import Pace, makespan, work
from reslab.runs.plan import plan_file, read_plan
from reslab.runs.resuming import resumes_at
from reslab.runs.speeds import Speed, Wanted, recorded
from reslab.runs.status import DONE, Records

WORK = ("macs", "batch", "steps")
OPEN = ("running", "interrupted", "new")  # states that will change if the command goes on
TOLD = ("lr", "steps", "batch", "precision", "intervention")
"""What runs of one name may differ in: tables show those that vary."""


@dataclass(frozen=True)
class View:
    """One run: `state` is an outcome, failed, running, interrupted, new, other schema or edited; ages in seconds.

    `step` is where it is; of an interrupted run, where the next command goes on.
    """

    entry: Mapping[str, Any]
    folder: RunFolder
    state: str
    step: int
    heartbeat: float | None = None
    rate: float | None = None
    left: float | None = None
    notes: tuple[str, ...] = ()
    speed: Speed | None = None
    """What it took, if it has ended and there is nothing to note."""

    @property
    def steps(self) -> int:
        """The run's budget."""
        return int(self.entry["steps"])

    def record(self) -> dict[str, Any]:
        """For programs."""
        rate = self.rate
        return {
            "state": self.state,
            **{name: self.entry[name] for name in ("label", "cell", "seed")},
            "folder": str(self.folder.path),
            "step": self.step,
            "steps": self.steps,
            "heartbeat_age": _rounded(self.heartbeat),
            "steps_per_second": _rounded(rate),
            "images_per_second": _rounded(rate * self.entry["batch"]) if rate else None,
            "seconds_left": _rounded(self.left),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Overview:
    """An experiment: its runs, and the seconds until the last one ends (None: nothing tells)."""

    experiment: str
    runs: tuple[View, ...]
    left: float | None

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in which state."""
        return dict(Counter(run.state for run in self.runs))

    @property
    def ended(self) -> int:
        """Runs with an outcome; a failed one has none."""
        return sum(n for name, n in self.counts.items() if name in DONE)

    @property
    def over(self) -> bool:
        """Whether no run is open: a failed one waits for the same command."""
        return not any(run.state in OPEN for run in self.runs)

    def sentence(self) -> str:
        """Such as "11 of 30 runs, 1 diverged, 2 running"."""
        order = ("at_chance", "diverged", "failed", "running", "interrupted", "new", "edited", "other schema")
        parts = [f"{self.counts[name]} {name}" for name in order if name in self.counts]
        return ", ".join([f"{self.ended} of {len(self.runs)} runs", *parts])


def varied(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of TOLD in which lines of a plan differ."""
    found = [tuple(entry.get(name) for name in TOLD) for entry in entries]
    return [name for name, values in zip(TOLD, zip(*found, strict=True), strict=False) if len(set(values)) > 1]


def overview(outputs: Path, experiment: str, *, timed: bool = True) -> Overview:
    """Look at every run of a plan; `timed` also estimates what is left, which reads all records under `outputs`."""
    runs = [view(outputs, entry) for entry in read_plan(plan_file(outputs, experiment))]
    going = any(run.state == "running" for run in runs)
    if not (timed and going):
        return Overview(experiment, tuple(runs), None)
    own = [run.speed for run in runs if run.speed is not None]
    others = recorded(outputs, experiment, {(run.entry["cell"], run.entry["seed"]) for run in runs})
    runs = with_times(runs, Pace([*own, *others]))
    return Overview(experiment, tuple(runs), time_left(runs))


def view(outputs: Path, entry: Mapping[str, Any]) -> View:
    """One run as its folder has it now."""
    folder = RunFolder(outputs / entry["folder"])
    records = Records.of(folder)
    found, notes = records.state, of_records(records, entry)
    if found != "other schema" and any(said != TORN for said in notes):
        found = "edited"
    result, status = records.result or {}, records.status or {}
    if found in ("ended", "failed"):
        found = str(result.get("outcome")) if found == "ended" else found
        speed, reason = result.get("images_per_second"), result.get("reason")
        rate, step = speed / entry["batch"] if speed else None, result.get("step", 0)
        own = None if notes else Speed.of(entry, result)
        return View(entry, folder, found, step, rate=rate, notes=(*notes, *([reason] if reason else [])), speed=own)
    if found != "running":
        step = resumes_at(folder) if found == "interrupted" else 0
        return View(entry, folder, found, step, notes=tuple(notes))
    step = int(number(status.get("step"), least=0.0) or 0)
    beat = number(status.get("heartbeat"))
    age = max(time.time() - beat, 0.0) if beat is not None else None
    rate = number(status.get("rate"), least=0.001)  # as it is rounded
    return View(entry, folder, found, step, heartbeat=age, rate=rate, notes=tuple(notes))


def with_times(runs: Sequence[View], pace: Pace) -> list[View]:
    """The same views with the seconds that each open run still needs, where its rate or a record tells."""
    return [replace(run, left=_left(run, pace)) if run.state in OPEN else run for run in runs]


def _left(run: View, pace: Pace) -> float | None:
    wanted = Wanted.of(run.entry)
    found = pace.estimate(wanted) if wanted else None
    if run.state == "running" and run.rate:
        beside = found.seconds - found.stepping if found else 0.0  # to measure and to close, spread over the steps
        share = 1 - min(run.step / max(run.steps, 1), 1.0)
        return share * (run.steps / run.rate + beside)
    return found.left(run.step, run.steps) if found else None


def time_left(runs: Sequence[View]) -> float | None:
    """Seconds until all are done if as many go on running at a time as now; None where a run has no estimate."""
    busy = [run.left for run in runs if run.state == "running"]
    longest_first = sorted(runs, key=lambda run: work(**{name: run.entry[name] for name in WORK}), reverse=True)
    waiting = [run.left for run in longest_first if run.state in OPEN and run.state != "running"]
    if not busy or None in busy or None in waiting:
        return None
    return makespan([s for s in waiting if s is not None], len(busy), [s for s in busy if s is not None])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
