"""What this machine offers, found out without importing torch."""

import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_names() -> list[str]:
    """NVIDIA GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else the numbers of the driver's."""
    present = [str(at) for at, _ in enumerate(DRIVER.glob("*"))]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and present:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return present


def gpus() -> int:
    """How many NVIDIA GPUs this process may use."""
    return len(gpu_names())


def concurrent(jobs: int | str, accelerator: str, runs: int, devices: int) -> int:
    """Runs at a time: `jobs`, or as many as fit with `devices` cores or GPUs each; never more than there are runs.

    ValueError for numbers that the machine does not have.
    """
    available = gpus() if accelerator == "gpu" else cores()
    if devices > max(available, 1):
        raise ValueError(
            f"devices={devices} is not possible here: {available} {accelerator} slot(s); "
            f"use devices={max(available, 1)} or less"
        )
    most = max(1, available // devices)
    if jobs == "auto":
        return min(most, max(runs, 1))
    if not isinstance(jobs, int) or not 1 <= jobs <= most:
        each = f" of {devices} devices each" if devices > 1 else ""
        raise ValueError(
            f"jobs={jobs}{each} is not possible here: {available} {accelerator} slot(s); "
            f"use jobs=auto or {'jobs=1' if most == 1 else f'at most {most}'}"
        )
    return min(jobs, max(runs, 1))
