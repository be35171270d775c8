"""What must be otherwise while a step is recorded, so that the host has no part in it; each in a block of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def fastest_convolutions() -> Iterator[None]:
    """Within the block cuDNN times all that it has for a new shape; what it has chosen, it keeps."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.benchmark_limit
    cudnn.benchmark, cudnn.benchmark_limit = True, 0
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.benchmark_limit = before


@contextmanager
def without_counters(norms: list[_BatchNorm]) -> Iterator[None]:
    """Within the block norms do not count batches, a kernel each: `Recording.run` does, and no momentum needs it."""
    counters = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, counter in zip(norms, counters, strict=True):
            norm.num_batches_tracked = counter


@contextmanager
def on_device(optimiser: torch.optim.SGD, rate: Tensor) -> Iterator[None]:
    """Within the block the optimiser takes its rate from the device, which of SGD's forms the fused one can."""
    own = [{key: group[key] for key in ("lr", "fused", "foreach")} for group in optimiser.param_groups]
    for group in optimiser.param_groups:
        group |= {"lr": rate, "fused": True, "foreach": False}
    try:
        yield
    finally:
        for group, values in zip(optimiser.param_groups, own, strict=True):
            group |= values
