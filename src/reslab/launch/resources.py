"""What this machine offers, found out without importing torch."""

import os
from pathlib import Path


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """NVIDIA GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else those the driver lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    if visible is not None and present:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return present


def concurrent(jobs: int | str, accelerator: str, runs: int) -> int:
    """Runs at a time: `jobs`, or one per core (CPU) or GPU; never more than there are runs.

    ValueError for a number that the machine does not have.
    """
    available = gpus() if accelerator == "gpu" else cores()
    if jobs == "auto":
        return max(1, min(available, runs))
    if not isinstance(jobs, int) or not 1 <= jobs <= available:
        raise ValueError(f"jobs={jobs} is not possible here: {available} {accelerator} slot(s); use jobs=auto or less")
    return max(1, min(jobs, runs))
