"""What a sweep would run, for people and for programs: state, cost, and time from recorded speeds."""

import json
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal
from rich.markup import escape
from rich.table import Table

from reslab.launch.console import retry
from reslab.launch.freeze import Job, flat
from reslab.launch.sharing import share_of, slots_of, threads_of
from reslab.runs.fields import is_whole
from reslab.runs.folder import read_json
from reslab.runs.overview import varied
from reslab.runs.pace import Estimate, Pace, clock, distinct, makespan
from reslab.runs.resuming import resumes_at
from reslab.runs.speeds import Wanted, recorded
from reslab.runs.status import state

IDLE = ("ended", "running", "other schema")  # states that the same `train` would not start


@dataclass(frozen=True)
class Planned:
    """One run of a plan: its job, its state, and how long it takes if a record tells."""

    job: Job
    state: str
    estimate: Estimate | None

    @property
    def seconds(self) -> float | None:
        """Seconds that are left; 0 once it is done, None without an estimate."""
        if self.state == "ended":
            return 0.0
        if self.estimate is None:
            return None
        done = resumes_at(self.job.folder) if self.state == "interrupted" else 0
        if self.state == "running":
            done = (read_json(self.job.folder.status) or {}).get("step", 0)
        return self.estimate.left(done, self.job.config["recipe"]["steps"])

    @property
    def counts(self) -> dict[str, int | None]:
        """params, norm_params and macs; of a net with a part that only its author could count, what a result says."""
        found = self.job.entry()
        if self.job.cost is None and self.state == "ended":
            params = (read_json(self.job.folder.result) or {}).get("params")
            found["params"] = params if is_whole(params) else None
        return {name: found[name] for name in ("params", "norm_params", "macs")}

    def record(self) -> dict[str, Any]:
        """For programs; `seconds` is null where no record gives an estimate."""
        job, seconds, counts = self.job, self.seconds, self.counts
        return {
            "state": _word(self.state),
            "cell": job.cell,
            "label": job.label,
            "seed": job.seed,
            "folder": str(job.folder.path),
            "params": counts["params"],
            "macs": counts["macs"],
            "steps": job.config["recipe"]["steps"],
            "seconds": None if seconds is None else round(seconds, 1),
            "estimated_from": self.estimate.basis if self.estimate and self.state != "ended" else None,
            "command": retry(job),
        }


@dataclass(frozen=True)
class Listing:
    """All runs of a plan and how many are run at a time."""

    runs: tuple[Planned, ...]
    slots: int

    @property
    def pending(self) -> tuple[Planned, ...]:
        """The runs that `train` would start."""
        return tuple(run for run in self.runs if run.state not in IDLE)

    @property
    def seconds(self) -> float | None:
        """Seconds until all pending runs are done; None where one of them has no estimate."""
        as_they_start = sorted(self.pending, key=lambda run: run.job.work, reverse=True)
        known = [run.seconds for run in as_they_start]
        return None if None in known else makespan([s for s in known if s is not None], self.slots)

    def sentence(self) -> str:
        """How long it takes, and how one knows."""
        pending = self.pending
        if not pending:
            return "nothing to run"
        known = [run.estimate for run in pending if run.estimate is not None]
        at_a_time = f"{len(pending)} run{'s' * (len(pending) != 1)}, {self.slots} at a time"
        if not known:
            return f"{at_a_time}; no recorded speed yet: no estimate"
        source = f"estimated from {distinct(known)} recorded runs ({', '.join(sorted({e.basis for e in known}))})"
        if self.seconds is None:
            return f"{at_a_time}; no recorded speed for {len(pending) - len(known)} of them: no estimate of the whole"
        return f"{at_a_time}: about {clock(self.seconds)}, {source}"


def listing(jobs: list[Job]) -> Listing:
    """State and time of every job, and how many would run at a time."""
    states = [state(job.folder) for job in jobs]
    pending = sum(found not in IDLE for found in states)
    slots = slots_of(jobs, max(pending, 1))
    pace = Pace(recorded(Path(jobs[0].config["outputs"])))
    runs = (
        Planned(job, found, _estimate(job, share_of(job, slots), pace)) for job, found in zip(jobs, states, strict=True)
    )
    return Listing(tuple(runs), slots)


def _estimate(job: Job, share: int, pace: Pace) -> Estimate | None:
    wanted = Wanted.of(job.entry())
    if wanted is None:
        return None
    data = job.config["data"]
    own = replace(
        wanted,
        images=data["rows"]["train"] + data["rows"]["test"],
        threads=threads_of(job, share),
        gpu=job.config["trainer"]["accelerator"] == "gpu",
        runs_per_gpu=job.config["runs_per_gpu"],
    )
    return pace.estimate(own)


def show(found: Listing, out: Terminal, arguments: list[str]) -> None:
    """The table; '?' where a user's own layer hides the cost, '' where no record tells the time."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    settings = [flat(run.job.config) for run in found.runs]
    told = [name for name in varied(settings) if name != "steps"]  # which have a column anyway
    for column in ("state", "run", "cell", *told, "seed"):
        table.add_column(column)
    for column in ("params", "in norms", "MACs/image", "steps", "time"):
        table.add_column(column, justify="right")
    for run, own in zip(found.runs, settings, strict=True):
        job, seconds = run.job, run.seconds
        numbers = ["?" if n is None else f"{n:,}" for n in run.counts.values()]
        shown = (escape(str(own[name])) for name in told)
        time = "" if seconds is None or run.state == "ended" else f"~{clock(seconds)}"
        steps = f"{job.config['recipe']['steps']:,}"
        table.add_row(_word(run.state), job.label, job.cell[:8], *shown, str(job.seed), *numbers, steps, time)
    out.print(table)
    counts = Counter(_word(run.state) for run in found.runs)
    out.print(" · ".join(f"{name} {n}" for name, n in sorted(counts.items())))
    out.print(found.sentence())
    if any(run.job.cost is None for run in found.runs):
        out.print("?: a part of your own cannot be counted from its config; params are known once a run has ended")
    if any(run.state not in IDLE for run in found.runs):
        out.print(f"to run them: {shlex.join(['reslab', 'train', *arguments])}", markup=False, soft_wrap=True)


def show_json(found: Listing) -> None:
    """One JSON list on standard output."""
    print(json.dumps([run.record() for run in found.runs], indent=1))


def _word(found: str) -> str:
    return "done" if found == "ended" else found
