"""Shattered gradients of nets of theory, measured by the probe that measures real nets; and along a line of inputs."""

import math
from collections.abc import Callable, Iterator
from statistics import fmean

import torch
from torch import nn

from reslab.launch.verify import theory
from reslab.launch.verify.fact import ABOVE, Fact, distance, share
from reslab.launch.verify.toy import BATCH_NORM, CLASSES, WIDTH, gauss, plain_net, residual_net, value
from reslab.nets.norm import Absent, Batch
from reslab.probes.copies import copy_of, settled
from reslab.probes.shattering import shattered_gradients

BALDUZZI = "Balduzzi et al. 2017"
IMAGES, BEHIND, SEEDS = 512, (1, 2, 4, 6, 8), 4
POINTS, UNITS = 256, 50
"""Of the line: inputs on [-2, 2], and units of the nets that they go through."""


def facts() -> Iterator[Fact]:
    """Plain: 1 / 2^L with BatchNorm. Residual: (3/4)^L without while inputs differ, slowly falling with BatchNorm."""
    last = max(BEHIND)
    found = [_cosines(plain_net(last + 1, norm=BATCH_NORM, seed=seed), seed) for seed in range(SEEDS)]
    for behind in BEHIND:
        mean = fmean(value(one, f"trunk.0.{last - behind}", "gradient_cosine") for one in found)
        law = f"plain BN-ReLU, cosine of gradients, layers behind: {behind}: 2^-L"
        yield Fact(law, BALDUZZI, 0.5**behind, mean, share(0.2))
    for units in (1, 2, 4, 10, 20, 40):
        law = f"BN residual, cosine of gradients, units: {units}"
        yield Fact(law, "by hand", theory.gradient_cosine(units), _at_start(units, BATCH_NORM), share(0.1))
    for units in (1, 2):
        law = f"residual without norm, cosine of gradients, units: {units}: (3/4)^L"
        yield Fact(law, BALDUZZI, 0.75**units, _at_start(units, Absent()), share(0.2))
    law = "the same, 4 units: above (3/4)^L, since without norm activations align"
    yield Fact(law, "by hand", 0.75**4, _at_start(4, Absent()), ABOVE)
    law = f"gradient along a line of inputs, correlation of neighbours, {UNITS} units"
    yield Fact(f"{law}, plain BN: white noise", BALDUZZI, 0, _neighbours(plain_net), distance(0.1))
    yield Fact(f"{law}, BN residual", BALDUZZI, 0.6, _neighbours(residual_net), ABOVE)


def _cosines(net: nn.Module, seed: int) -> list:
    return shattered_gradients(net, gauss(IMAGES, chunk=IMAGES, seed=seed), bn="frozen")


def _at_start(units: int, norm: Batch | Absent) -> float:
    nets = [residual_net(units, norm=norm, seed=seed) for seed in range(SEEDS)]
    return fmean(value(_cosines(net, seed), "stem", "gradient_cosine") for seed, net in enumerate(nets))


def _neighbours(make: Callable[..., nn.Module]) -> float:
    """Mean over nets of the correlation between df/dt at neighbouring points of a random line."""
    return fmean(_neighbours_of(make(UNITS, norm=BATCH_NORM, seed=seed), seed) for seed in range(3))


def _neighbours_of(net: nn.Module, seed: int) -> float:
    draw = torch.Generator().manual_seed(seed)
    start, along = (torch.randn(WIDTH, generator=draw) * math.sqrt(0.5) for _ in range(2))
    t = torch.linspace(-2, 2, POINTS).requires_grad_(True)
    line = (start + t[:, None] * along).view(POINTS, WIDTH, 1, 1)
    measured = settled(copy_of(net, bn="frozen"), line.detach(), bn="frozen")
    out = (measured(line) @ torch.randn(CLASSES, generator=draw)).sum()
    (slope,) = torch.autograd.grad(out, t)
    centred = slope.double() - slope.double().mean()
    return ((centred[1:] * centred[:-1]).sum() / centred.square().sum()).item()
