"""Faults as a Lightning callback of a user's own: at one run, rank and step, at the first attempt alone."""

import contextlib
import json
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch

from reslab.launch import lifeline
from reslab.runs.folder import RunFolder
from reslab.runs.status import attempts


@dataclass
class Fault:
    """`what` (a function of this file) once `step` optimiser steps are done, also in the middle of a slice."""

    what: str
    step: int
    seed: int = 0
    rank: int = 0
    flag: str = ""


class Faults(pl.Callback):
    """Those of faults.json beside the outputs folder: its config is the same whatever is going to happen."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        folder = RunFolder(Path(trainer.default_root_dir))
        planned = folder.path.parents[3] / "faults.json"
        if attempts(folder)[0] != 1 or not planned.exists():
            return
        faults = [Fault(**given) for given in json.loads(planned.read_text())]
        self.due = [f for f in faults if (folder.path.name, trainer.global_rank) == (f"seed={f.seed}", f.rank)]
        self.trainer, self.done = trainer, 0
        trainer.optimizers[0].register_step_post_hook(self._count)

    def _count(self, *_: object) -> None:
        self.done += 1
        for fault in self.due:
            if fault.step == self.done:
                if fault.flag:
                    Path(f"{fault.flag}.struck").write_text(str(time.time()))
                globals()[fault.what](fault, self.trainer)


def kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminate(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def break_down(*_: object) -> None:
    raise RuntimeError("broken on purpose")


def leave(*_: object) -> None:
    """As a library does that calls exit: no traceback, no result, a code that says that all is well."""
    os._exit(0)


def leave_with_3(*_: object) -> None:
    os._exit(3)


def hang(*_: object) -> None:
    while True:
        signal.pause()


def hold(fault: Fault, trainer: pl.Trainer) -> None:
    """Wait until the test says go."""
    while not Path(f"{fault.flag}.go").exists():
        time.sleep(0.01)


def kill_server(fault: Fault, trainer: pl.Trainer) -> None:
    """The fork server takes its children with it."""
    assert lifeline.SERVER
    os.kill(lifeline.SERVER, signal.SIGKILL)
    hang()


def fill_disk(fault: Fault, trainer: pl.Trainer) -> None:
    """Until not one byte more finds room beside the file that `flag` names."""
    with open(fault.flag, "wb", buffering=0) as file:
        for size in (2**16, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def limit_files(*_: object) -> None:
    """From now on no file of this process may grow beyond 20 kB: records fit, a checkpoint does not."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


def note_environment(fault: Fault, trainer: pl.Trainer) -> None:
    """As a user's own code finds it."""
    Path(fault.flag).write_text(json.dumps(dict(os.environ)))


def edit(fault: Fault, trainer: pl.Trainer) -> None:
    """What lies beside a file as FILE.new takes its place."""
    Path(f"{fault.flag}.new").replace(fault.flag)


def set_clock_back(*_: object) -> None:
    """An hour, for this process."""
    real = time.time
    time.time = lambda: real() - 3600


def poison(fault: Fault, trainer: pl.Trainer) -> None:
    """A weight that is no number, as a broken memory gives one."""
    with torch.no_grad():
        next(trainer.lightning_module.parameters()).view(-1)[0] = float("nan")
