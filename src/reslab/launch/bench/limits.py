"""What this machine can do at most: the fastest convolution in each precision, and the speed of memory."""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional as F

SHAPES = ((16, 32), (32, 16), (64, 8), (128, 16), (256, 16))
"""Channels and side of 3 x 3 convolutions: those of the CIFAR nets, and wider ones that use the units better."""
IMAGES, SECONDS = 64, 0.2
COPIED = 2**28  # bytes, more than any cache


def convolution(dtype: torch.dtype) -> float:
    """FLOP/s of the fastest forward convolution among SHAPES, channels last, the best of several runs of each."""
    best = 0.0
    for channels, side in SHAPES:
        images = torch.randn(IMAGES, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(channels, channels, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            seconds = _fastest(partial(F.conv2d, images, weight, padding=1))
        best = max(best, 2 * 9 * IMAGES * (channels * side) ** 2 / seconds)
    return best


def copy() -> float:
    """Bytes per second, read and written, of a copy that no cache holds."""
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    return 2 * COPIED / _fastest(lambda: target.copy_(source))


def _fastest(work: Callable[[], object]) -> float:
    work()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
