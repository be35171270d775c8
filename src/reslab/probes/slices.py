"""Straight lines through a trained net's weights, filter by filter as long as the net itself (Li et al. 2018)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor, nn

from reslab import streams
from reslab.probes.copies import copy_of

Direction = Mapping[str, Float[Tensor, "..."]]
"""A step for every parameter, by its name."""


def filter_norms(weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The length of every filter, fp64, in the shape that multiplies `weight`.

    A filter is what feeds one output: of a convolution one of its kernels, of a linear layer a row. Scales, shifts and
    biases (fewer than two axes) are no filters: zeros.
    """
    if weight.dim() < 2:
        return torch.zeros_like(weight, dtype=torch.float64)
    return weight.double().flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.dim() - 1))


def direction(net: nn.Module, *, seed: int, draw: int) -> dict[str, Float[Tensor, "..."]]:
    """A Gaussian direction whose every filter is as long as the net's own; zero for BatchNorm and biases (Li 2018, 4).

    Nets whose parameters have the same names and shapes get the same Gaussians for a `seed` and `draw`.
    """
    return {name: _like(weight.detach(), seed, draw, name) for name, weight in net.named_parameters()}


def _like(weight: Float[Tensor, "..."], seed: int, draw: int, name: str) -> Float[Tensor, "..."]:
    lengths = filter_norms(weight)
    if weight.dim() < 2:
        return torch.zeros_like(weight)
    values = ndtri(streams.uniform(weight.numel(), seed, "slices", draw, name))
    gauss = torch.from_numpy(values).to(weight.device).reshape(weight.shape)
    return (gauss / filter_norms(gauss) * lengths).to(weight)


@torch.no_grad()
def moved(net: nn.Module, along: Direction, share: float) -> nn.Module:
    """A copy of the net, fp32 and in eval mode, whose parameters are those of the net + `share` times the direction."""
    made = copy_of(net, bn="eval")
    for name, weight in made.named_parameters():
        weight.add_(along[name], alpha=share)
    return made


def places(points: int) -> list[float]:
    """So many shares from -1 to 1, at equal distances and mirrored about 0; ValueError for fewer than 3 or even ones.

    >>> places(5)
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    if points < 3 or points % 2 == 0:
        near = max(points + 1, 3)
        raise ValueError(f"points={points} does not hold both sides and the net itself (0); use points={near}")
    half = points // 2
    return [at / half for at in range(-half, half + 1)]


def line(net: nn.Module, along: Direction, shares: Sequence[float], loss: Callable[[nn.Module], float]) -> list[float]:
    """`loss` of the net moved by each of these shares of the direction; the net is not changed."""
    return [loss(moved(net, along, share)) for share in shares]
