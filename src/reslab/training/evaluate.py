"""Clean evaluation: eval mode, no augmentation, every image once; and BatchNorm statistics taken anew."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class Score(NamedTuple):
    """Wrong images of `n`, and mean cross-entropy in nats."""

    errors: int
    n: int
    cross_entropy: float

    @property
    def error(self) -> float:
        """Share of wrong images, 0 to 1."""
        return self.errors / self.n


Normalise = Callable[[UInt8[Tensor, "n c h w"]], Float[Tensor, "n c h w"]]
Precision = Callable[[], AbstractContextManager]


def batches(images: UInt8[Tensor, "n c h w"], normalise: Normalise, size: int) -> Iterator[Float[Tensor, "m c h w"]]:
    """Normalised images in order, `size` at a time."""
    for chunk in images.split(size):
        yield normalise(chunk).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def evaluate(
    net: nn.Module,
    images: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    normalise: Normalise,
    batch: int,
    precision: Precision,
) -> Score:
    """Score a net as it is; its modes and statistics are left as found. ValueError for no images.

    An image whose logits are not finite counts as wrong: a net can overflow in eval mode though its losses were finite.
    """
    if len(labels) == 0:
        raise ValueError("there are no images to evaluate")
    modes = {module: module.training for module in net.modules()}
    net.eval()
    errors = torch.zeros((), dtype=torch.int64, device=labels.device)
    entropy = torch.zeros((), dtype=torch.float64, device=labels.device)
    try:
        for chunk, truth in zip(batches(images, normalise, batch), labels.split(batch), strict=True):
            with precision():
                logits = net(chunk)
            errors += ((logits.argmax(1) != truth) | ~torch.isfinite(logits).all(1)).sum()
            entropy += F.cross_entropy(logits.float(), truth, reduction="sum").double()
    finally:
        for module, mode in modes.items():
            module.training = mode
    return Score(int(errors), len(labels), float(entropy) / len(labels))


@torch.no_grad()
def with_fresh_statistics(
    net: nn.Module, images: UInt8[Tensor, "n c h w"], *, normalise: Normalise, batch: int, precision: Precision
) -> nn.Module:
    """A copy of the net whose BatchNorm statistics are plain means over full clean batches, at the final weights."""
    fresh = copy.deepcopy(net)
    for module in fresh.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None
    fresh.train()
    for chunk in batches(images, normalise, min(batch, len(images))):
        if len(chunk) == min(batch, len(images)):
            with precision():
                fresh(chunk)
    return fresh
