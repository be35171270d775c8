"""Cores, memory, GPUs, W&B and git, looked at without torch and without W&B."""

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from reslab.launch import resources
from reslab.launch.doctor.check import Check
from reslab.launch.freeze import commit, versions
from reslab.tracking.mode import has_key, resolve_mode

GIB = 2**30


def machine_checks() -> list[Check]:
    """Devices, W&B's mode, the commit."""
    gpus = resources.gpus()
    found = [
        cores_check(),
        gpu_check(gpus, versions()["torch"]),
        ranks_check(gpus, resources.cores()),
        launchers_check(),
    ]
    return [*found, wandb_check(), git_check(commit())]


def cores_check() -> Check:
    """Cores of this process and memory that is free."""
    free = memory_free()
    memory = "" if free is None else f", {free / GIB:.1f} GiB of memory free"
    said = f"{resources.cores()} of {os.cpu_count()} cores{memory}"
    if free is not None and free < resources.cores() * GIB:
        return Check("cores", "warning", f"{said}: a run needs about 1 GiB", "jobs=1, or close other programs")
    return Check("cores", "ok", said)


def memory_free(path: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes; None where the system does not tell."""
    try:
        lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def gpu_check(gpus: int, torch: str) -> Check:
    """NVIDIA GPUs that the driver shows to this process, and whether torch was built for them."""
    if gpus and "+cpu" in torch:
        fix = "install torch's build for CUDA: https://pytorch.org/get-started/locally"
        return Check("GPU", "problem", f"{gpus} NVIDIA GPU(s), but torch {torch} is built without CUDA", fix)
    if gpus:
        how = "at once: MPS is on" if resources.mps() else "in turns: MPS is off (nvidia-cuda-mps-control -d)"
        return Check("GPU", "ok", f"{gpus} NVIDIA GPU(s); trainer=auto uses them; runs_per_gpu=N runs share one {how}")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    if present and hidden is not None:
        said = f"{present} NVIDIA GPU(s), hidden by CUDA_VISIBLE_DEVICES={hidden!r}"
        return Check("GPU", "warning", said, "unset CUDA_VISIBLE_DEVICES")
    return Check("GPU", "ok", "none; runs use the CPU")


def ranks_check(gpus: int, cores: int) -> Check:
    """What several ranks per run would use here, and whether reslab's own tests have ever run it."""
    most = gpus if gpus > 1 else cores
    if most < 2:
        return Check("ranks", "ok", "one per run: there is one core")
    upto = "devices=2" if most == 2 else f"devices=2 to {most}"
    if gpus < 2:
        return Check("ranks", "ok", f"{upto}: gloo on the CPU, as reslab's tests run it")
    said = f"{upto}: NCCL, which reslab's makers had no machine to run on"
    return Check("ranks", "warning", said, "pytest tests/ranks compares two GPUs with one, in a minute")


def launchers_check(which: Callable[[str], str | None] = shutil.which) -> Check:
    """Which launchers could start runs from here."""
    slurm = "no sbatch on PATH" if which("sbatch") is None else _lacks("submitit", "slurm")
    missing = {
        "slurm": slurm,
        "ray": _lacks("ray", "ray"),
        "joblib": _lacks("hydra_plugins.hydra_joblib_launcher", "joblib"),
    }
    ready = ["local", "basic", *(name for name, why in missing.items() if not why)]
    why = "; ".join(f"{name}: {reason}" for name, reason in missing.items() if reason)
    return Check("launchers", "ok", f"{', '.join(ready)}{f' ({why})' if why else ''}")


def _lacks(module: str, extra: str) -> str:
    return "" if find_spec(module) else f"pip install 'reslab[{extra}]'"


def wandb_check() -> Check:
    """What tracking.mode=auto comes to here."""
    mode = resolve_mode("auto")
    if mode == "online" and not has_key():
        said = "WANDB_MODE=online, but no key is configured: each run would wait, then go on offline"
        return Check("W&B", "warning", said, "wandb login, or unset WANDB_MODE")
    why = "WANDB_MODE" if os.environ.get("WANDB_MODE") == mode else "a key" if has_key() else "no key is configured"
    hint = "; `wandb login` sets one" if mode == "offline" and not has_key() else ""
    return Check("W&B", "ok", f"{mode} ({why}{hint})")


def git_check(head: str) -> Check:
    """Which commit a result would carry as evidence."""
    if not head:
        return Check("git", "ok", "not a checkout: results carry the version alone")
    if head.endswith("+dirty"):
        said = f"commit {head[:10]} with changes: results would carry no commit that others can check out"
        return Check("git", "warning", said, "git commit")
    return Check("git", "ok", f"commit {head[:10]}, clean")
