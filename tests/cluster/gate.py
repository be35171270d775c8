"""Callbacks that a test puts into runs: a gate at which they wait for it, and ways to come to grief."""

import os
import signal
import time
from pathlib import Path

import pytorch_lightning as pl


class Gate(pl.Callback):
    """Stands still before the slice that begins at `step` until the file `open` is in `folder`; says so first."""

    def __init__(self, step: int, folder: str) -> None:
        """`folder` exists."""
        self._step, self._folder = step, Path(folder)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        """Leaves a file named after the run, with its process."""
        if trainer.global_step != self._step:
            return
        (self._folder / Path(trainer.default_root_dir).name).write_text(str(os.getpid()))
        while not (self._folder / "open").exists():
            time.sleep(0.05)


class Grief(pl.Callback):
    """Run seed 1 raises, run seed 2 is killed; all others are left alone."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        """At the first slice after step 0."""
        name = Path(trainer.default_root_dir).name
        if trainer.global_step and name == "seed=1":
            raise ValueError("a grief of its own")
        if trainer.global_step and name == "seed=2":
            os.kill(os.getpid(), signal.SIGKILL)
