"""Tells the outside how far a run is, at most once a second, and how fast it trains."""

import time
from collections.abc import Callable

import pytorch_lightning as pl

from reslab.data.module import Slice


class Progress(pl.Callback):
    """Calls `tell(step, steps per second)`. Put it before callbacks that measure: only training is timed."""

    def __init__(self, tell: Callable[[int, float], None]) -> None:
        """`tell` must be cheap: it is called between slices. `seconds` of training are those of this attempt."""
        self._tell, self._told = tell, 0.0
        self._began, self.seconds, self._steps = 0.0, 0.0, 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Slice, batch_idx: int
    ) -> None:
        """A slice begins."""
        self._began = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Count the slice, and tell if the last word is a second old."""
        now = time.monotonic()
        self.seconds += now - self._began
        self._steps += batch.stop - batch.start
        if now - self._told >= 1:
            self._told = now
            self._tell(batch.stop, self.rate())

    def rate(self) -> float:
        """Steps per second of this attempt, evaluations and checkpoints not counted; 0 before the first slice."""
        return self._steps / self.seconds if self._steps else 0.0
