"""Runs a worker that kills itself with SIGKILL at a chosen point; imported by forked children."""

import os
import signal
from pathlib import Path

from reslab.callbacks import checkpoint
from reslab.callbacks.checkpoint import Save
from reslab.callbacks.record import Record
from reslab.launch import worker

POINTS = ("before row", "after row", "before save", "torn save", "between renames", "after save")


def run_and_die(folder: str, point: str, step: int) -> None:
    """Train, but die at `point` of the slice that ends at `step`."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def around(cls, name, before, after):
        real = getattr(cls, name)

        def hook(self, trainer, module, outputs, batch, index):
            if before and batch.stop == step:
                die()
            real(self, trainer, module, outputs, batch, index)
            if after and batch.stop == step:
                die()

        setattr(cls, name, hook)

    if point in ("before row", "after row"):
        around(Record, "on_train_batch_end", point == "before row", point == "after row")
    elif point in ("before save", "after save"):
        around(Save, "on_train_batch_end", point == "before save", point == "after save")
    elif point == "torn save":
        whole = Save._save

        def torn(self, trainer):
            if trainer.global_step != step:
                return whole(self, trainer)
            self._folder.mkdir(exist_ok=True)
            (self._folder / "last.tmp").write_bytes(b"PK\x03\x04 torn")
            return die()

        Save._save = torn
    else:
        rename, real_save = Path.replace, Save._save

        def save(self, trainer):
            if trainer.global_step == step:
                checkpoint.Path.replace = lambda path, target: (rename(path, target), die())
            real_save(self, trainer)

        Save._save = save
    worker.run(folder)
