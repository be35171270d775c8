"""A callback of every run in these tests: does what the folder `gate`, where the command was given, tells it to do."""

import os
import signal
import time
from pathlib import Path

import pytorch_lightning as pl


class Gate(pl.Callback):
    """Before the slice that begins at step 10, a run looks for gate/WORD/seed=N: it waits, raises or is killed.

    The configs of all runs are the same, so that their cells are.
    """

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        """A run that waits leaves its process in gate/seed=N, and goes on when there is a file gate/open."""
        gate, name = Path("gate").absolute(), Path(trainer.default_root_dir).name
        if trainer.global_step != 10:
            return
        if any((gate / word / name).exists() for word in ("raise", f"raise-on-rank-{trainer.global_rank}")):
            raise ValueError("told to raise")
        if (gate / "kill" / name).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if (gate / "wait" / name).exists():
            (gate / name).write_text(str(os.getpid()))
            while not (gate / "open").exists():
                time.sleep(0.05)
