"""What happens between two scheduled steps: one function, without a look at the device from the host."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from reslab import streams, world

Batches = Iterable[tuple[int, Float[Tensor, "n c h w"], Int64[Tensor, " n"]]]
Update = Callable[[int, Callable[[], object]], object]
"""How a step of the optimiser is made: called with the step, counted from 0, and the optimiser's own update."""


def plainly(step: int, update: Callable[[], object]) -> None:
    """The optimiser's update and nothing more."""
    update()


def train_steps(
    net: nn.Module,
    optimiser: Any,
    batches: Batches,
    *,
    lr: Callable[[int], float],
    seed: int,
    first_bad: Int64[Tensor, ""],
    backward: Callable[[Tensor], object] = torch.Tensor.backward,
    update: Update = plainly,
) -> Float[Tensor, " 3"]:
    """One optimiser step per batch; returns loss, errors and images summed over ranks, all still on the device.

    `batches` are this rank's share of them. `lr` gives the rate of a step. Layers that draw random numbers (dropout)
    draw from a stream of (seed, step, rank), so that a resumed run and a measured run draw the same. `first_bad`
    keeps, in place, the first step whose loss was not finite on any rank (-1: none). `backward` also averages the
    gradients where there are several ranks; `update` makes the step, on gradients that are the same on all of them.
    """
    totals, seen = torch.zeros(2, device=first_bad.device), 0
    layers = "layers" if world.rank() == 0 else f"layers/{world.rank()}"
    for step, images, labels in batches:
        torch.manual_seed(int(streams.bits(1, seed, step, layers)[0]) >> 1)  # the CPU uses the low 32 bits alone
        for group in optimiser.param_groups:
            group["lr"] = lr(step)
        logits = net(images).float()
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        backward(loss)
        update(step, optimiser.step)
        with torch.no_grad():
            errors = (logits.argmax(1) != labels).sum()
            totals += torch.stack([loss.detach() * len(labels), errors.float()])
            seen += len(labels)
            bad = ~torch.isfinite(loss.detach()) & (first_bad < 0)
            first_bad.copy_(torch.where(bad, torch.full_like(first_bad, step), first_bad))
    world.earliest(first_bad)
    return world.total(torch.cat([totals, totals.new_full((1,), seen)]))
