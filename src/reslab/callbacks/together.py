"""What several ranks of one run need beside the training itself."""

import signal
from collections.abc import Mapping

import pytorch_lightning as pl
from packaging.version import Version

from reslab import world


class Together(pl.Callback):
    """Ranks must hold the same facts before the first step; Lightning's look at SIGTERM in every batch is left out."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        """`facts` by name, such as the frozen config; a difference ends the run."""
        self._facts = facts

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """ValueError where a rank differs."""
        for what, value in self._facts.items():
            world.must_agree(what, value)
        if world.size() > 1:
            without_sigterm_broadcast(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Again: Lightning has put its own handler around ours meanwhile."""
        if world.size() > 1:
            signal.signal(signal.SIGTERM, _leave)


def without_sigterm_broadcast(trainer: pl.Trainer) -> None:
    """Since 2.5.2 Lightning asks rank 0 before each batch whether it got SIGTERM: a device sync in every step.

    Here the parent process ends all ranks at once, so nobody need ask; and its signal handler, which broadcasts
    too, would meet a rank that waits in another collective.
    """
    signal.signal(signal.SIGTERM, _leave)
    loop = trainer.fit_loop.epoch_loop
    if Version(pl.__version__) < Version("2.5.2"):
        return
    if not hasattr(loop, "_broadcast_sigterm_tensor"):
        print(f"note: pytorch-lightning {pl.__version__} is newer than what reslab knows of its SIGTERM broadcast")
        return
    loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]  # of this trainer alone


def _leave(*_: object) -> None:
    raise SystemExit(143)
