"""Signal propagation: how activations grow with depth going forward, and gradients going back."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.probes.addresses import stages, units, watched
from reslab.probes.copies import copy_of, settled
from reslab.probes.reading import ProbeBatch, Reading, over_chunks

Found = dict[tuple[str, str], float]


def signal_propagation(net: nn.Module, batch: ProbeBatch, *, bn: str) -> list[Reading]:
    """Moments of activations, norms of gradients, and how fast both grow a layer (Yang et al. 2019).

    At the stem and after every unit: `second_moment` E[h²]; `variance`, the mean over channels of a channel's
    variance; `squared_mean`, that of its squared mean (Brock et al. 2021); `gradient_norm`, the Frobenius norm of the
    chunk's mean loss by h. At every weight: `weight_gradient_norm`. At every stage of two units or more:
    `forward_growth` and `backward_growth`, the factor per weighted layer of E[h²], and of the squared gradient norm
    going towards the input. At the trunk: `gradient_ratio` of the first to the last unit, `weight_gradient_ratio` of
    its first to its last convolution, and `depth_scale`, 1 / ln(backward growth) in layers.
    """
    measured = copy_of(net, bn=bn)
    with torch.enable_grad(), torch.autocast(batch.images.device.type, enabled=False), same_draws(batch.images.device):
        chunks = batch.chunks()
        return over_chunks([_of_chunk(settled(measured, images, bn=bn), images, labels) for images, labels in chunks])


def _of_chunk(net: nn.Module, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]) -> Found:
    seen: dict[str, Tensor] = {}
    own = units(net)
    with watched({"stem": net.get_submodule("stem"), **own}, seen.__setitem__):
        loss = F.cross_entropy(net(images), labels)
    weights = {n: m.weight for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    gradients = torch.autograd.grad(loss, [*seen.values(), *weights.values()])
    found: Found = {}
    for (layer, h), gradient in zip(seen.items(), gradients[: len(seen)], strict=True):
        variance, mean = torch.var_mean(h.detach().double(), dim=(0, 2, 3), correction=0)
        squared_mean = mean.square().mean().item()
        found[layer, "second_moment"] = variance.mean().item() + squared_mean
        found[layer, "variance"] = variance.mean().item()
        found[layer, "squared_mean"] = squared_mean
        found[layer, "gradient_norm"] = norm(gradient)
    for layer, gradient in zip(weights, gradients[len(seen) :], strict=True):
        found[layer, "weight_gradient_norm"] = norm(gradient)
    return found | _growth(net, found)


def _growth(net: nn.Module, found: Found) -> Found:
    grown: Found = {}
    slopes, layers = [], []
    for stage, members in stages(net).items():
        depth = [_weighted_layers(unit) for unit in members.values()]
        if len(members) > 1:
            forward = slope([found[unit, "second_moment"] for unit in members], depth)
            backward = -2 * slope([found[unit, "gradient_norm"] for unit in members], depth)
            grown[stage, "forward_growth"], grown[stage, "backward_growth"] = exp(forward), exp(backward)
            slopes.append(backward)
            layers.append(sum(depth))
    names = list(units(net))
    grown["trunk", "gradient_ratio"] = _ratio(found[names[0], "gradient_norm"], found[names[-1], "gradient_norm"])
    ends = [layer for layer, what in found if what == "weight_gradient_norm" and ".branch." in layer]
    if ends:
        first, last = (found[layer, "weight_gradient_norm"] for layer in (ends[0], ends[-1]))
        grown["trunk", "weight_gradient_ratio"] = _ratio(first, last)
    if slopes:
        mean = float(np.average(slopes, weights=layers))
        grown["trunk", "depth_scale"] = 1 / mean if mean > 0 else math.inf if mean <= 0 else math.nan
    return grown


def slope(values: list[float], steps: list[int]) -> float:
    """Least-squares slope of log(value) per weighted layer; nan where a value is not positive and finite.

    `steps` is the number of weighted layers in each unit: a unit's output lies behind all of them.
    """
    if not all(0 < value < math.inf for value in values):
        return math.nan
    return float(np.polyfit(np.cumsum(steps), np.log(values), 1)[0])


def norm(tensor: Tensor) -> float:
    """The Frobenius norm, summed in fp64."""
    return tensor.detach().double().norm().item()


def exp(value: float) -> float:
    """e to the value; infinity where that is too large for a float."""
    return math.exp(value) if value < 709 else math.inf if value >= 709 else math.nan


def _ratio(one: float, other: float) -> float:
    return one / other if other != 0 else math.nan


def _weighted_layers(unit: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d) for module in unit.get_submodule("branch").modules())


def by_layer(readings: list[Reading], statistic: str) -> Mapping[str, float]:
    """The values of one statistic by layer, in the order of the net."""
    return {reading.layer: reading.value for reading in readings if reading.statistic == statistic}


def same_draws(device: torch.device) -> AbstractContextManager[None]:
    """Layers that draw (dropout) must not move the run's generator."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
