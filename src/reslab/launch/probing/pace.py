"""How far a measurement is and how long it takes: a bar on a terminal, else a line now and then."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from reslab.runs.pace import clock

QUIET = 20.0  # seconds between two lines where there is no terminal


class Pace:
    """Counts what is done of `total` units of work; used as a context."""

    def __init__(self, out: Console, total: float, of: str) -> None:
        """`of` says what is counted, in words such as "160 nets"."""
        self._out, self._total, self._of, self._done, self._count = out, max(total, 1e-9), of, 0.0, 0
        self._began = self._spoke = time.monotonic()
        columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=out, transient=True) if out.is_terminal else None
        self._task = self._bar.add_task(of, total=1.0) if self._bar is not None else None

    def __enter__(self) -> "Pace":
        """Shows the bar."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Removes it."""
        if self._bar is not None:
            self._bar.stop()

    def step(self, work: float, name: str) -> None:
        """`work` more is done; `name` is what was done last."""
        self._done += work
        self._count += 1
        share, elapsed = self._done / self._total, time.monotonic() - self._began
        left = f"{clock(elapsed * (1 - share) / share)} left" if share > 0.01 else "estimating"
        text = f"{self._count} of {self._of} · {left} · {name}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=share, description=text)
        elif time.monotonic() - self._spoke > QUIET:
            self._spoke = time.monotonic()
            self._out.print(text, markup=False)
