"""What can be reached at most: the fastest convolution in each precision, the speed of memory, a net's convolutions."""

import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.launch.bench.looks import Stopwatch
from reslab.launch.bench.race import Turn

SHAPES = ((16, 32), (32, 16), (64, 8), (128, 16), (256, 16))
"""Channels and side of 3 x 3 convolutions: those of the CIFAR nets, and wider ones that use the units better."""
IMAGES = {"cpu": 64, "cuda": 1024}
COPIED = {"cpu": 2**28, "cuda": 2**31}
"""Bytes, more than any cache."""
SECONDS = 0.2
CALLS = 10  # in a row on a GPU: to wait for it takes as long as one of them


def convolution(dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of the fastest forward convolution among SHAPES, channels last, the best of several runs of each.

    On a GPU cuDNN tries its kernels first, and fp32 may be rounded to TF32, as torch has it.
    """
    best, count, tuned = 0.0, IMAGES[device.type], torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    for channels, side in SHAPES:
        images = torch.randn(count, channels, side, side, device=device).to(dtype)
        images = images.contiguous(memory_format=torch.channels_last)
        weight = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
        weight = weight.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            seconds = _fastest(partial(F.conv2d, images, weight, padding=1), device)
        best = max(best, 2 * 9 * count * (channels * side) ** 2 / seconds)
    torch.backends.cudnn.benchmark = tuned
    return best


def copy(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy that no cache holds."""
    size = COPIED[device.type]
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / _fastest(lambda: target.copy_(source), device)


def convolutions(
    net: nn.Module, images: Float[Tensor, "n c h w"], dtype: torch.dtype, watch: Stopwatch, *, warm: int, steps: int
) -> Turn:
    """The least that a step of `net` can take where torch computes its convolutions: these alone, both ways.

    One feeds the next, channels last, weights and images in `dtype` already; no norm, no activation, no shortcut, no
    optimiser. For a net whose convolutions follow one another in the order of its modules.
    """
    chain = nn.Sequential(*(deepcopy(module) for module in net.modules() if isinstance(module, nn.Conv2d)))
    chain.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs
    batch = images.to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        gradient = torch.randn_like(chain(batch))

    def step() -> None:
        chain.zero_grad()
        chain(batch).backward(gradient)

    def turn() -> float:
        for _ in range(warm):
            step()
        watch.start()
        for _ in range(steps):
            step()
        return watch.stop(steps)

    return turn


def capability(device: torch.device) -> str:
    """The instructions of a CPU; the name of a GPU, with the versions of what computes on it."""
    if device.type == "cpu":
        return torch.backends.cpu.get_cpu_capability()
    name, cudnn = torch.cuda.get_device_name(device), torch.backends.cudnn.version()
    return f"{name}, CUDA {torch.version.cuda}, cuDNN {cudnn}"


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    gpu = device.type == "cuda"

    def several() -> float:
        start = time.perf_counter()
        for _ in range(CALLS if gpu else 1):
            work()
        if gpu:
            torch.cuda.synchronize(device)
        return (time.perf_counter() - start) / (CALLS if gpu else 1)

    several()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        best = min(best, several())
    return best
