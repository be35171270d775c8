"""Imported by the fork server and nothing else, since it acts on import: loads everything, uses nothing.

A run then starts by a fork, in milliseconds instead of four seconds. A parallel torch operation here would hang
every child, so nothing here may compute; a thread that an import begins is named.
"""

import gc
import importlib
import os
import pkgutil
import platform
import signal
import sys
import threading
from pathlib import Path

from reslab.launch import heap, lifeline

lifeline.die_with(int(os.environ["RESLAB_PARENT"]))
lifeline.SERVER = os.getpid()
os.setsid()  # Ctrl-C at the terminal is for the parent
for name in (signal.SIGUSR1, signal.SIGUSR2):  # so are SLURM's warnings, which it sends to every process of a job
    signal.signal(name, signal.SIG_IGN)

NAMES = (
    *("numpy.random", "torch", "torchmetrics", "pytorch_lightning", "pytorch_lightning.loggers", "sklearn.datasets"),
    *("scipy.stats", "scipy.special", "hydra.utils", "wandb", "wandb.sdk.launch", "wandb.apis.public", "requests"),
    *("pyarrow.parquet", "PIL.PngImagePlugin", "reslab.launch.pool", "reslab.launch.worker"),
)
PACKAGE = Path(__file__).parents[1]
PARTS = tuple(  # a config may name any of them, and a later run of the sweep must not find it edited
    found.name
    for part in ("nets", "data", "training", "probes")
    for found in pkgutil.iter_modules([str(PACKAGE / part)], f"reslab.{part}.")
)
opened: dict[str, int] = {}
"""Threads of this process after an import that began some. Not ours: other packages of an environment bring them."""


def threads() -> int:
    """How many this process has; 1 where the system does not say."""
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1


heap.keep()
for module in NAMES + PARTS:
    before = threads()
    try:
        importlib.import_module(module)
    except ImportError as error:  # the standard library would swallow it and run on, slowly
        sys.exit(f"reslab cannot start: {error}")
    if threads() > before:
        opened[module] = threads() - before

import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

tqdm.set_lock(threading.RLock())  # its own is the system's, which a run that is killed while it compiles leaves behind
if torch.cuda.is_initialized():
    sys.exit("reslab cannot start: an import used the GPU in the fork server")
if opened:  # an idle thread is not missed by a run that is forked without it; one that held a lock is: see the watchdog
    said = ", ".join(f"{module} ({number})" for module, number in opened.items())
    print(f"note: threads were begun by importing {said}; runs are forked without them", file=sys.stderr, flush=True)
platform.platform()  # it asks `uname -p`, once in a process: W&B and a result's evidence need the answer
gc.collect()
gc.freeze()
