"""Tells the outside how far a run is, at most once a second."""

import time
from collections.abc import Callable

import pytorch_lightning as pl

from reslab.data.module import Slice


class Progress(pl.Callback):
    """Calls `tell(step, steps per second)`; the rate is that of this attempt."""

    def __init__(self, tell: Callable[[int, float], None]) -> None:
        """`tell` must be cheap: it is called between slices."""
        self._tell, self._told = tell, 0.0
        self._start, self._first, self._last = time.monotonic(), 0, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin counting."""
        self._start, self._first, self._last = time.monotonic(), trainer.global_step, trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Tell, if the last word is a second old."""
        self._last = batch.stop
        if time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            self._tell(batch.stop, self.rate())

    def rate(self) -> float:
        """Steps per second since training (re)started, scheduled evaluations included."""
        return (self._last - self._first) / max(time.monotonic() - self._start, 1e-9)
