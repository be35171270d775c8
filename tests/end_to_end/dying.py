"""Runs a worker that kills itself with SIGKILL at a chosen point; imported by forked children."""

import os
import signal
from pathlib import Path

from reslab.callbacks import checkpoint
from reslab.callbacks.checkpoint import Save
from reslab.callbacks.evaluate import Evaluate
from reslab.launch import worker
from reslab.launch.ranks import Place

POINTS = ("before row", "after row", "before save", "torn save", "between renames", "after save")


def run_and_die(folder: str, place: Place, point: str, step: int) -> None:
    """Train, but die at `point` of the slice that ends at `step`."""
    moment, _, what = point.partition(" ")
    if point == "after fit":
        worker.Run._scores = die
    elif point == "before result":
        worker.write_json = die
    elif point == "torn save":
        die_in_save(step, lambda save, trainer: (save._folder.mkdir(exist_ok=True), torn(save._folder), die()))
    elif point == "between renames":
        die_in_save(step, die_between_renames)
    else:
        die_around(Evaluate if what == "row" else Save, moment, step)
    worker.run(folder, place)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def torn(folder: Path) -> None:
    (folder / "last.tmp").write_bytes(b"PK\x03\x04 torn")


def die_around(callback: type, moment: str, step: int) -> None:
    real = callback.on_train_batch_end

    def hook(self, trainer, module, outputs, batch, index):
        if batch.stop == step and moment == "before":
            die()
        real(self, trainer, module, outputs, batch, index)
        if batch.stop == step:
            die()

    callback.on_train_batch_end = hook


def die_in_save(step: int, act) -> None:
    real = Save._save
    Save._save = lambda self, trainer: act(self, trainer) if trainer.global_step == step else real(self, trainer)
    Save._really = real


def die_between_renames(save: Save, trainer: object) -> None:
    rename = Path.replace
    checkpoint.Path.replace = lambda path, target: (rename(path, target), die())
    save._really(trainer)
