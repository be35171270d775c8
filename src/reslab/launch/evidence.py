"""What a result carries as evidence: the weights' hash and the hardware."""

import hashlib
import os
import platform
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn


def weights_hash(net: nn.Module) -> str:
    """SHA-256 over every tensor of the net, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def hardware(trainer: pl.Trainer, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the run was computed on, and how; on a GPU also how many runs at most had part in it."""
    device = trainer.strategy.root_device
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": gpu or "cpu",
        "ranks": trainer.world_size,
        "stepping": _stepping(config["trainer"]),
        **({"runs_per_gpu": config.get("runs_per_gpu", 1)} if gpu else {}),
    }


def _stepping(asked: Mapping[str, Any]) -> str:
    """Plain steps, or what was done to them: each way rounds by itself."""
    done = [word for key, word in (("cuda_graph", "recorded"), ("compile", "compiled")) if asked.get(key, False)]
    return f"steps {' and '.join(done) or 'as they are'}"
