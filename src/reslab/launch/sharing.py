"""How runs share this machine: how many at a time, and how many cores and threads each of their ranks has."""

import math
from collections.abc import Sequence

from reslab.launch import resources
from reslab.launch.freeze import Job

SMALL_STEP = 2e9  # multiply-adds of a forward pass over a batch; digits nets stay below, CIFAR nets above


def slots_of(jobs: Sequence[Job], runs: int) -> int:
    """How many of so many runs go at a time here; ValueError for more than the machine has."""
    config, devices = jobs[0].config, max(job.config["devices"] for job in jobs)
    accelerator, shared = config["trainer"]["accelerator"], config["runs_per_gpu"]
    return resources.concurrent(config["jobs"], accelerator, runs, devices, runs_per_gpu=shared)


def share_of(job: Job, slots: int, cores: int | None = None) -> int:
    """Cores of each rank of a run, where so many runs share `cores` (all of this machine)."""
    return max(1, (cores or resources.cores()) // slots // job.config["devices"])


def threads_of(job: Job, share: int) -> int:
    """What was asked for; `auto` is one for nets too small to gain from a second, so that they never differ in it."""
    threads = job.config["trainer"]["threads"]
    if threads != "auto":
        return threads
    work = job.config["recipe"]["batch"] * (job.cost.macs if job.cost is not None else math.inf)
    return 1 if work < SMALL_STEP else share
