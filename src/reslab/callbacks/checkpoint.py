"""Checkpoints that survive a kill at any moment: written beside, then renamed; the previous one is kept."""

import os
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch import nn

from reslab import world
from reslab.data.module import Slice
from reslab.training.weights import read_checkpoint


class Save(Checkpoint):
    """`last.ckpt` and `previous.ckpt` at the steps of `at`; Lightning runs this kind after all other callbacks."""

    def __init__(self, folder: Path, *, at: tuple[int, ...], keep: tuple[int, ...]) -> None:
        """Weights alone are kept for good, as `step=<n>.ckpt`, at the steps of `keep`."""
        self._folder, self._at, self._keep = folder, frozenset(at), frozenset(keep)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Save, but neither on the last slice nor while stopping: resuming there would train one slice too many."""
        if batch.stop in self._keep and world.rank() == 0:
            assert isinstance(pl_module.net, nn.Module)
            state = {"state_dict": pl_module.net.state_dict(), "step": batch.stop}
            replace(self._folder / f"step={batch.stop:06d}.ckpt", lambda path: torch.save(state, path))
        if batch.stop in self._at and not trainer.is_last_batch and not trainer.should_stop:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The end of the run."""
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        """All ranks take part, rank 0 writes: they hold the same."""
        last = self._folder / "last.ckpt"
        if world.rank() > 0:
            trainer.save_checkpoint(last, weights_only=False)
            return

        def write(path: Path) -> None:
            trainer.save_checkpoint(path, weights_only=False)

        replace(last, write, keep=self._folder / "previous.ckpt")


def replace(path: Path, write: Callable[[Path], None], *, keep: Path | None = None) -> None:
    """Write a file whole or not at all; the old one becomes `keep`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    try:
        write(beside)
        descriptor = os.open(beside, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if keep is not None and path.exists():
        path.replace(keep)
    beside.replace(path)


def usable(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be read, and a sentence for each that could not."""
    problems = []
    for path in (folder / "last.ckpt", folder / "previous.ckpt"):
        if not path.exists():
            continue
        try:
            read_checkpoint(path)["optimizer_states"]
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"{path.name} cannot be used ({type(error).__name__}: {str(error)[:200]})")
        else:
            return path, problems
    return None, problems
