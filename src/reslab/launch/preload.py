"""Imported by the fork server and nothing else, since it acts on import: loads everything, uses nothing.

A run then starts by a fork, in milliseconds instead of four seconds. A parallel torch operation here would hang
every child, so the server must be single-threaded at the end.
"""

import gc
import importlib
import os
import pkgutil
import signal
import sys
from pathlib import Path

from reslab.launch import lifeline

lifeline.die_with(int(os.environ["RESLAB_PARENT"]))
lifeline.SERVER = os.getpid()
os.setsid()  # Ctrl-C at the terminal is for the parent
for name in (signal.SIGUSR1, signal.SIGUSR2):  # so are SLURM's warnings, which it sends to every process of a job
    signal.signal(name, signal.SIG_IGN)

NAMES = (
    *("numpy.random", "torch", "torchmetrics", "pytorch_lightning", "pytorch_lightning.loggers", "sklearn.datasets"),
    *("scipy.stats", "scipy.special", "hydra.utils", "wandb", "wandb.sdk.launch", "wandb.apis.public", "requests"),
    "reslab.launch.worker",
)
PACKAGE = Path(__file__).parents[1]
PARTS = tuple(  # a config may name any of them, and a later run of the sweep must not find it edited
    found.name
    for part in ("nets", "data", "training", "probes")
    for found in pkgutil.iter_modules([str(PACKAGE / part)], f"reslab.{part}.")
)
for module in NAMES + PARTS:
    try:
        importlib.import_module(module)
    except ImportError as error:  # the standard library would swallow it and run on, slowly
        sys.exit(f"reslab cannot start: {error}")

import torch  # noqa: E402

if torch.cuda.is_initialized() or (sys.platform == "linux" and len(os.listdir("/proc/self/task")) != 1):
    sys.exit("reslab cannot start: an import opened threads or a GPU in the fork server")
gc.collect()
gc.freeze()
