"""Tells the outside how far a run is, at most once a second, and how fast it trains."""

import time
from collections.abc import Callable

import pytorch_lightning as pl
import torch

from reslab.data.module import Slice


class Progress(pl.Callback):
    """Calls `tell(step, steps per second)`. Put it before callbacks that measure: only training is timed.

    On a GPU by the GPU's own clock, which is read later: the host is ahead of it, and must not wait.
    """

    def __init__(self, tell: Callable[[int, float], None]) -> None:
        """`tell` must be cheap: it is called between slices."""
        self._tell, self._told = tell, 0.0
        self._began: float | torch.cuda.Event = 0.0
        self._running: list[tuple[torch.cuda.Event, torch.cuda.Event, int]] = []
        self._seconds, self._steps = 0.0, 0
        self._first = 0.0, 0
        """Seconds and steps of a GPU's first slice: kernels are chosen in it, and a step is recorded."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Slice, batch_idx: int
    ) -> None:
        """A slice begins."""
        self._began = _event() if pl_module.device.type == "cuda" else time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Count the slice, and tell if the last word is a second old."""
        now, steps = time.monotonic(), batch.stop - batch.start
        if isinstance(self._began, float):
            self._seconds += now - self._began
            self._steps += steps
        else:
            self._running.append((self._began, _event(), steps))
        if now - self._told >= 1:
            self._told = now
            self._tell(batch.stop, self.rate())

    @property
    def seconds(self) -> float:
        """Of training in this attempt, evaluations and checkpoints not counted, as far as the device has come."""
        while self._running and self._running[0][1].query():
            began, ended, steps = self._running.pop(0)
            taken = began.elapsed_time(ended) / 1000
            self._first = self._first if self._steps else (taken, steps)
            self._seconds += taken
            self._steps += steps
        return self._seconds

    def rate(self) -> float:
        """Steps per second of these, on a GPU without its first slice once there is another; 0 before the first."""
        seconds, (first, prepared) = self.seconds, self._first
        if self._steps > prepared:
            return (self._steps - prepared) / (seconds - first)
        return self._steps / seconds if self._steps else 0.0


def _event() -> torch.cuda.Event:
    """A mark in the stream of the GPU's work, with the time at which it comes by."""
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
