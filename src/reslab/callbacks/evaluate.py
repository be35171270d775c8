"""Writes a row at every scheduled step: running and clean error. It also sees divergence, and ends the run."""

from collections.abc import Callable

import pytorch_lightning as pl

from reslab.data.module import ImageData, Slice
from reslab.training.classifier import Classifier
from reslab.training.evaluate import Score

Row = dict[str, float | int]


class Evaluate(pl.Callback):
    """`score` measures the net at the steps of `at`, `write` keeps the row."""

    def __init__(
        self,
        *,
        at: tuple[int, ...],
        score: Callable[[Classifier, ImageData], dict[str, Score]],
        write: Callable[[Row], None],
        beside: Callable[[int], Row] = lambda step: {},
    ) -> None:
        """Score names become row names: {"train": ...} gives train/error and train/cross_entropy.

        `beside` says what else is known of a step (the scalars of probes); where it is all, the row holds that alone.
        """
        self._at, self._score, self._write, self._beside = frozenset(at), score, write, beside

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The untrained net."""
        if trainer.global_step > 0:
            return
        if 0 in self._at:
            self._row(trainer, pl_module, {})
        else:
            self._keep(trainer, {})

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """A row where one is due; a non-finite loss stops the run here."""
        assert isinstance(pl_module, Classifier)
        if batch.stop not in self._at:
            self._keep(trainer, {})
            return
        running = {f"running/{name}": value for name, value in pl_module.read_running().items()}
        self._row(trainer, pl_module, running | {"lr": pl_module.lr(batch.stop - 1)})
        if int(pl_module.first_bad_step) >= 0:
            trainer.should_stop = True

    def _row(self, trainer: pl.Trainer, module: pl.LightningModule, row: Row) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit()
        assert isinstance(module, Classifier)
        assert isinstance(data, ImageData)
        for name, score in self._score(module, data).items():
            row |= {f"{name}/error": score.error, f"{name}/cross_entropy": score.cross_entropy}
        self._keep(trainer, row)

    def _keep(self, trainer: pl.Trainer, row: Row) -> None:
        step, data = trainer.global_step, trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit()
        row = row | self._beside(step)
        if row:
            self._write({"step": step, "samples": step * data.plan.batch, **row})
