"""What this machine offers, found out without importing torch."""

import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")
PIPES = "/tmp/nvidia-mps"  # where NVIDIA's daemon listens unless CUDA_MPS_PIPE_DIRECTORY says otherwise


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_names() -> list[str]:
    """NVIDIA GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else the numbers of the driver's."""
    present = [str(at) for at, _ in enumerate(DRIVER.glob("*"))]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and present:
        named = (name.strip() for name in visible.split(","))
        return [name for name in dict.fromkeys(named) if name not in ("", "-1")]  # one named twice is one
    return present


def gpus() -> int:
    """How many NVIDIA GPUs this process may use."""
    return len(gpu_names())


def mps() -> bool:
    """Whether NVIDIA's Multi-Process Service listens here: kernels of different runs then share a GPU at once."""
    control = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or PIPES) / "control"
    return control.is_fifo() or control.is_socket()


def concurrent(jobs: int | str, accelerator: str, runs: int, devices: int, *, runs_per_gpu: int = 1) -> int:
    """Runs at a time: `jobs`, or as many as fit with `devices` cores or GPUs each; never more than there are runs.

    `runs_per_gpu` of them share a GPU. ValueError for numbers that the machine does not have.
    """
    own = gpus() if accelerator == "gpu" else cores()
    if devices > max(own, 1):
        raise ValueError(
            f"devices={devices} is not possible here: {own} {accelerator} slot(s); use devices={max(own, 1)} or less"
        )
    shared = runs_per_gpu if accelerator == "gpu" else 1
    most = max(1, own * shared // devices)
    if jobs == "auto":
        return min(most, max(runs, 1))
    if not isinstance(jobs, int) or not 1 <= jobs <= most:
        each = f" of {devices} devices each" if devices > 1 else ""
        slots = f"{own} {accelerator} slot(s)" + (f" for {shared} runs each" if shared > 1 else "")
        more = isinstance(jobs, int) and jobs > most and accelerator == "gpu" and own > 0
        share = f", or runs_per_gpu={-(-int(jobs) * devices // own)}: small nets can share a GPU" if more else ""
        raise ValueError(
            f"jobs={jobs}{each} is not possible here: {slots}; "
            f"use jobs=auto or {'jobs=1' if most == 1 else f'at most {most}'}{share}"
        )
    return min(jobs, max(runs, 1))
