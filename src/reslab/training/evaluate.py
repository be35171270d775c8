"""Clean evaluation: eval mode, no augmentation, every image once; and BatchNorm statistics taken anew."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from reslab import world
from reslab.training.synchronised import alone


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


@torch.no_grad()
def evaluate(
    net: nn.Module,
    images: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    normalise: Normalise,
    batch: int,
    precision: Precision,
    beat: Callable[[], object] = lambda: None,
) -> Score:
    """Score a net as it is; its modes and statistics are left as found. ValueError for no images.

    Ranks share the chunks of `batch` images, each image once, and add up what they found chunk by chunk: the score
    is bitwise the same for any number of ranks. An image whose logits are not finite counts as wrong: a net can
    overflow in eval mode though its losses were finite. `beat` is called after every chunk: scoring can take long.
    """
    if len(labels) == 0:
        raise ValueError("there are no images to evaluate")
    modes = {module: module.training for module in net.modules()}
    net.eval()
    chunks = list(zip(images.split(batch), labels.split(batch), strict=True))
    errors = torch.zeros(len(chunks), dtype=torch.int64, device=labels.device)
    entropies = torch.zeros(len(chunks), dtype=torch.float64, device=labels.device)
    try:
        for at in range(world.rank(), len(chunks), world.size()):
            chunk, truth = chunks[at]
            with precision():
                logits = net(_input(chunk, normalise))
            errors[at] = ((logits.argmax(1) != truth) | ~torch.isfinite(logits).all(1)).sum()
            entropies[at] = F.cross_entropy(logits.float(), truth, reduction="sum").double()
            beat()
    finally:
        for module, mode in modes.items():
            module.training = mode
    errors, entropies = world.total(errors), world.total(entropies)
    return Score(int(errors.sum()), len(labels), float(entropies.sum()) / len(labels))


@torch.no_grad()
def with_fresh_statistics(
    net: nn.Module,
    images: UInt8[Tensor, "n c h w"],
    *,
    normalise: Normalise,
    batch: int,
    precision: Precision,
    beat: Callable[[], object] = lambda: None,
) -> nn.Module:
    """A copy of the net whose BatchNorm statistics are plain means over full clean batches, at the final weights.

    Every rank sees all the images, so that each takes the statistics that one rank alone would take.
    """
    fresh = alone(copy.deepcopy(net))
    for module in fresh.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None
    fresh.train()
    for chunk in images.split(min(batch, len(images))):
        if len(chunk) == min(batch, len(images)):
            with precision():
                fresh(_input(chunk, normalise))
            beat()
    return fresh


def _input(images: UInt8[Tensor, "n c h w"], normalise: Normalise) -> Float[Tensor, "n c h w"]:
    return normalise(images).contiguous(memory_format=torch.channels_last)
