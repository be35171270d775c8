"""The first thing that an attempt writes into its folder: the config that the worker reads, and a fresh status."""

import contextlib
import os
from typing import Any

from reslab.launch.freeze import Job
from reslab.launch.frozen import as_text
from reslab.launch.sharing import threads_of
from reslab.runs.reading import read_config
from reslab.runs.status import attempts, write_status


def begin(job: Job, threads: int) -> None:
    """Write the config that the worker reads, and a fresh status; a resumed run keeps its threads and its commits."""
    folder = job.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    resumable = folder.checkpoints.exists() and any(folder.checkpoints.glob("*.ckpt"))
    config: dict[str, Any] = job.config
    config["trainer"]["threads"] = threads_of(job, threads)
    if resumable:
        with contextlib.suppress(Exception):  # a torn file can raise anything, and has nothing to keep
            old = read_config(folder.config)
            config["trainer"]["threads"] = min(max(int(old["trainer"]["threads"]), 1), os.cpu_count() or 1)
            config["run"]["commit"] = in_order(str(old["run"]["commit"]), config["run"]["commit"])
    folder.result.unlink(missing_ok=True)
    folder.clear_unfinished()
    beside = folder.config.with_name(f".config.{os.getpid()}")
    try:
        beside.write_text(as_text(config), encoding="utf-8")
        beside.replace(folder.config)
    finally:
        beside.unlink(missing_ok=True)
    last, origin = attempts(folder)
    write_status(folder, "running", {"attempt": last + 1, "origin": origin or last + 1, "step": 0})


def in_order(before: str, now: str) -> str:
    """The commits of a run that was resumed by other code than began it; one where the code is the same."""
    return before or now if not before or before.split(" then ")[-1] == now else f"{before} then {now}"
