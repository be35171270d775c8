"""Starts worker processes from one warm fork server (Linux), or afresh (elsewhere)."""

import faulthandler
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

LEAKED = (
    *("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE", "TORCHELASTIC_RUN_ID"),
    "TORCHELASTIC_USE_AGENT_STORE",  # with it, rank 0 would wait for a store instead of opening one
    *("PL_GLOBAL_SEED", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SERVICE", "WANDB_RUN_GROUP", "WANDB_NAME"),
)
inherited: dict[str, str] = {}
"""What was taken out of the environment: `nodes` may read it, the workers may not."""
# threads of BLAS and Arrow would make the server unfit for forking; one of OpenMP is what its children start from
SERVER_ENVIRONMENT = {
    **{"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"},
    "WANDB_ERROR_REPORTING": "false",
}


def context() -> Any:
    """The way to start processes here; the fork server itself starts with the first process, or with `warm`."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    ctx = multiprocessing.get_context("forkserver")
    ctx.set_forkserver_preload(["reslab.launch.preload"])
    os.environ.update({"RESLAB_PARENT": str(os.getpid()), **SERVER_ENVIRONMENT})
    for name in LEAKED:
        if name in os.environ:
            inherited[name] = os.environ.pop(name)
    return ctx


def warm() -> None:
    """Let the server begin to import while the caller goes on; call it from the main thread."""
    if context().get_start_method() == "forkserver":
        multiprocessing.forkserver.ensure_running()


def start(
    target: Callable[..., None], args: tuple, *, log: Path, environment: Mapping[str, str], threads: int
) -> BaseProcess:
    """A process of its own session that writes to `log`, dies with this one, and runs `target(*args)`."""
    process = context().Process(target=_enter, args=(target, args, str(log), dict(environment), threads))
    try:
        process.start()
    except (EOFError, ConnectionError) as error:
        raise RuntimeError("the fork server did not start; its message is above") from error
    return process


def ask_where(process: BaseProcess) -> None:
    """Let a process write the stacks of its threads into its log."""
    if process.pid is not None:
        os.kill(process.pid, signal.SIGQUIT)


def _enter(target: Callable[..., None], args: tuple, log: str, environment: dict[str, str], threads: int) -> None:
    from reslab.launch import lifeline

    os.setsid()
    parent = multiprocessing.parent_process()
    lifeline.die_with(lifeline.SERVER or (parent.pid if parent and parent.pid else os.getppid()))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):  # for the parent; SLURM sends the latter to all
        signal.signal(name, signal.SIG_IGN)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.register(signal.SIGQUIT, file=2)
    os.environ.update(environment)
    import torch

    torch.set_num_threads(threads)
    target(*args)
