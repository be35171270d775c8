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
Forward = Callable[[nn.Module, Tensor], Tensor]
"""How logits are computed from images: called with the net and the images."""


def plainly(step: int, update: Callable[[], object]) -> None:
    """The optimiser's update and nothing more."""
    update()


def directly(net: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
    """The net's own computation and nothing more."""
    logits: Tensor = net(images)
    return logits


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
    forward: Forward = directly,
) -> Float[Tensor, " 3"]:
    """One optimiser step per batch; returns loss, errors and images summed over ranks, all still on the device.

    `batches` are this rank's share of them. `lr` gives the rate of a step. Layers that draw random numbers (dropout)
    draw from a stream of (seed, step, rank), so that a resumed run and a measured run draw the same. `first_bad`
    keeps, in place, the first step whose loss was not finite on any rank (-1: none). `backward` also averages the
    gradients where there are several ranks; `update` makes the step, on gradients that are the same on all of them.
    `forward` computes the logits, to the same bits whichever it is.
    """
    totals, seen = torch.zeros(2, device=first_bad.device), 0
    losses: dict[int, Tensor] = {}
    for step, images, labels in batches:
        seed_device(first_bad.device, layer_seed(seed, step))
        for group in optimiser.param_groups:
            group["lr"] = lr(step)
        logits = forward(net, images).float()
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        backward(loss)
        update(step, optimiser.step)
        losses[step] = loss.detach()
        errors = (logits.argmax(1) != labels).sum()
        totals += torch.stack([losses[step] * len(labels), errors.float()])
        seen += len(labels)
    _keep_first(first_bad, losses)
    world.earliest(first_bad)
    return world.total(torch.cat([totals, totals.new_full((1,), seen)]))


def _keep_first(first_bad: Int64[Tensor, ""], losses: dict[int, Tensor]) -> None:
    """Keep, in place, the first step whose loss is not finite; once a slice, since these are a dozen tiny kernels."""
    first = next(iter(losses))
    after = first + len(losses)
    steps = torch.arange(first, after, device=first_bad.device)
    bad = torch.where(torch.isfinite(torch.stack(list(losses.values()))), after, steps).min()
    first_bad.copy_(torch.where((first_bad < 0) & (bad < after), bad, first_bad))


def layer_seed(seed: int, step: int) -> int:
    """The seed of what this rank's layers draw in a step; the CPU uses its low 32 bits alone."""
    layers = "layers" if world.rank() == 0 else f"layers/{world.rank()}"
    return int(streams.bits(1, seed, step, layers)[0]) >> 1


def seed_device(device: torch.device, number: int) -> None:
    """What `torch.manual_seed` does for this device.

    Where no GPU is in use, that one keeps the whole stack as text, in case one will be: 0.2 ms and more in every step.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)
