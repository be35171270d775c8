"""What a sweep says: one header, a line per finished run, a bar on a terminal, the table at the end."""

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from reslab.launch.freeze import Job, flat
from reslab.runs.folder import read_json
from reslab.runs.overview import varied
from reslab.runs.pace import clock
from reslab.runs.record import last_line
from reslab.runs.status import state

QUIET = 30.0  # seconds between progress lines where there is no terminal


class Console:
    """Prints for people; keeps count of the work to tell how long the rest takes."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        """Wide enough for a table in a log file; colours only on a terminal."""
        self.out = terminal or Terminal(highlight=False, soft_wrap=True)
        if terminal is None and not self.out.is_terminal:
            self.out.width = 160
        # a table is never squeezed: on a narrow terminal its lines wrap, and every name can still be read
        self.wide = Terminal(highlight=False, width=max(self.out.width, 140))
        self._bar: Progress | None = None
        self._reasons: dict[tuple[str, int], str] = {}  # also of runs whose disk is too full to hold them
        self._told = False

    def header(self, jobs: Sequence[Job], pending: Sequence[Job]) -> None:
        """What was asked for, what is done, where it goes."""
        config = jobs[0].config
        done = len(jobs) - len(pending)
        self.out.print(
            f"[bold]{escape(config['run']['experiment'])}[/] · {len(jobs)} run{'s' * (len(jobs) != 1)} · "
            f"{done} done · {len(pending)} to run · {escape(config['outputs'])}"
        )
        if not pending and all(state(job.folder) == "ended" for job in jobs):
            self.out.print("nothing to do: every run has ended; add seeds or change a setting to run more")
        elif not pending:
            self.out.print("nothing to start: what has not ended is with another command, or of another version")
        elif self.out.is_terminal:
            self.out.print("[dim]starting: torch and the data are loaded first[/]")

    def begin(self, pending: Sequence[Job]) -> None:
        """Start counting."""
        self._began, self._spoke = time.monotonic(), time.monotonic()
        self._total, self._number, self._count = sum(map(_work, pending)), len(pending), 0
        self._left, self._all = self._total, float(sum(map(_work, pending)))
        if self.out.is_terminal:
            columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self.out, transient=True)
            self._task: TaskID = self._bar.add_task("starting", total=1.0)
            self._bar.start()

    def progress(self, running: Sequence[Job]) -> None:
        """Rate and time left; a line every half minute where there is no terminal."""
        states = [(job, read_json(job.folder.status) or {}) for job in running]
        part = sum(_work(job) * s.get("step", 0) / max(s.get("steps") or 1, 1) for job, s in states)
        share = (self._all - self._left + part) / max(self._all, 1e-9)
        elapsed = time.monotonic() - self._began
        left = f"{clock(elapsed * (1 - share) / share)} left" if share > 0.01 else "estimating"
        now = ", ".join(f"{escape(job.name)} {_where(s)}" for job, s in states)
        text = f"{self._count}/{self._number} runs · {left} · {now}"
        if self._bar is not None:
            self._bar.update(self._task, completed=share, description=text)
        elif time.monotonic() - self._spoke > QUIET:
            self._spoke = time.monotonic()
            self.out.print(text)

    def waiting(self, job: Job) -> None:
        """Other commands hold the GPUs of this machine; said once."""
        if not self._told:
            self._told = True
            self.out.print(f"waiting for {job.config['devices']} free GPU(s): other commands hold them", markup=False)

    def finished(self, job: Job, outcome: str, reason: str, seconds: float) -> None:
        """One line per run."""
        self._count += 1
        self._reasons[job.cell, job.seed] = reason
        self._left -= _work(job)
        result = read_json(job.folder.result) or {}
        scores = "  ".join(
            f"{part} {100 * result[part]['error']:.2f} %" for part in ("train", "validation", "test") if part in result
        )
        colour = {"trained": "green", "failed": "red"}.get(outcome, "yellow")
        said = f"  {escape(reason)}" if reason else ""
        log = f"  → {escape(str(job.folder.log))}" if outcome == "failed" else ""
        self.out.print(
            f"[{self._count}/{self._number}] {escape(job.name)}  [{colour}]{outcome}[/]  {scores}{said}  "
            f"{seconds:.1f} s{log}"
        )

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def table(self, jobs: Mapping[tuple[str, int], Job], outcomes: Mapping[tuple[str, int], str]) -> None:
        """Every run's outcome, then each failure with its last error line, its log and the command to try again."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        settings = {key: flat(job.config) for key, job in jobs.items()}
        told = varied(settings.values())
        for column in ("run", "cell", *told, "seed", "outcome"):
            table.add_column(column)
        for column in ("train error %", "cross-entropy", "test error %", "img/s", "s"):
            table.add_column(column, justify="right")
        counts: Counter[str] = Counter()
        for key, job in jobs.items():
            result = read_json(job.folder.result) or {}
            outcome = result.get("outcome", "")
            if outcomes.get(key) == "other schema" or not outcome:
                outcome, result = outcomes.get(key, "not started"), {}
            counts[outcome] += 1
            shown = (escape(str(settings[key][name])) for name in told)
            table.add_row(job.label, job.cell[:8], *shown, str(job.seed), outcome, *_numbers(result))
        self.wide.print(table)
        self.out.print(" · ".join(f"{name} {n}" for name, n in sorted(counts.items())))
        for key, outcome in outcomes.items():
            if outcome == "failed":
                job = jobs[key]
                reason = (read_json(job.folder.result) or {}).get("reason") or self._reasons.get(key, "")
                reason = reason or last_line(job.folder.log) or "no message"
                self.out.print(f"[red]failed[/] {escape(job.name)}: {escape(reason)}")
                self.out.print(f"  log    {job.folder.log}\n  retry  {retry(job)}", markup=False)


def retry(job: Job) -> str:
    """The command that runs this job alone."""
    return shlex.join(["reslab", "train", *job.overrides])


def _numbers(result: Mapping[str, Any]) -> list[str]:
    train, test = result.get("train"), result.get("test")
    return [
        f"{100 * train['error']:.2f}" if train else "",
        f"{train['cross_entropy']:.3g}" if train and train["cross_entropy"] is not None else "",
        f"{100 * test['error']:.2f}" if test else "",
        f"{result['images_per_second']:.0f}" if result.get("images_per_second") else "",
        f"{sum(result['times'].values()):.1f}" if "times" in result else "",
    ]


def _work(job: Job) -> float:
    return job.config["recipe"]["steps"] * job.config["recipe"]["batch"] * float(job.cost.macs if job.cost else 1e7)


def _where(status: Mapping[str, Any]) -> str:
    step, steps = status.get("step", 0), status.get("steps")
    return "final evaluation" if step == steps else f"step {step}/{steps or '?'} at {status.get('rate') or 0:.3g}/s"
