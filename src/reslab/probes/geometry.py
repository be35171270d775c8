"""Update geometry: how far one step turns a weight, whatever its length; BatchNorm makes the length irrelevant."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from reslab.probes.reading import Reading

FROZEN = 0.1
"""A convolution that turns by less than this share of the equilibrium angle counts as frozen."""


def update_geometry(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    *,
    initial: Mapping[str, float],
    lr: float,
    weight_decay: float,
    momentum: float,
) -> list[Reading]:
    """One optimiser step as geometry, per convolution: weights `before` and `after` it, and its `gradients`.

    `gradient_norm`, `weight_norm` (after), `relative_gradient` ||g|| / ||W||, `angle` in radians between W before and
    after, `norm_growth` over the norm in `initial`, `angle_over_equilibrium`. At the trunk: `equilibrium_angle`, and
    `freeze_index`, the share of convolutions below FROZEN of it (nan where there is no equilibrium: no weight decay).
    Nothing is said of a net without convolutions.
    """
    if not before:
        return []
    equilibrium = equilibrium_angle(lr=lr, weight_decay=weight_decay, momentum=momentum)
    rows = _measured(*([table[name] for name in before] for table in (gradients, before, after)))
    readings, angles = [], []
    for name, (gradient, old, new, angle) in zip(before, rows, strict=True):
        angles.append(angle)
        of_layer = {
            "gradient_norm": gradient,
            "weight_norm": new,
            "relative_gradient": _ratio(gradient, old),
            "angle": angle,
            "norm_growth": _ratio(new, initial[name]),
            "angle_over_equilibrium": _ratio(angle, equilibrium),
        }
        readings += [Reading(name, statistic, value, None) for statistic, value in of_layer.items()]
    frozen = sum(angle < FROZEN * equilibrium for angle in angles) / len(angles) if equilibrium > 0 else math.nan
    ends = {"equilibrium_angle": equilibrium, "freeze_index": frozen}
    return readings + [Reading("trunk", statistic, value, None) for statistic, value in ends.items()]


def at_start(initial: Mapping[str, float]) -> list[Reading]:
    """What can be said of untrained weights: their norms, which have not grown."""
    return [
        Reading(name, statistic, value, None)
        for name, norm in initial.items()
        for statistic, value in (("weight_norm", norm), ("norm_growth", 1.0))
    ]


def equilibrium_angle(*, lr: float, weight_decay: float, momentum: float) -> float:
    """The angle per step at which growth by gradients and shrinking by decay balance, in radians (Wan et al. 2021).

    sqrt(2 lr weight_decay / (1 + momentum)), for SGD on a scale-invariant weight.
    """
    return math.sqrt(2 * lr * weight_decay / (1 + momentum))


def norms(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Frobenius norms, in fp64."""
    if not weights:
        return {}
    found = torch.stack(torch._foreach_norm([weight.detach().double() for weight in weights.values()])).tolist()
    return dict(zip(weights, found, strict=True))


def _measured(gradients: list[Tensor], before: list[Tensor], after: list[Tensor]) -> list[list[float]]:
    """Per layer: norms of gradient, old and new weight, and the angle, exact also where an arc cosine would fail.

    All layers go through each operation together: a GPU would spend the time on launching kernels otherwise.
    """
    given, old, new = ([tensor.detach().double() for tensor in tensors] for tensors in (gradients, before, after))
    lengths = [torch.stack(torch._foreach_norm(tensors)) for tensors in (given, old, new)]
    one, other = (torch._foreach_div(t, list(n.unbind())) for t, n in ((old, lengths[1]), (new, lengths[2])))
    apart, along = torch._foreach_sub(one, other), torch._foreach_add(one, other)
    chord, sum_ = (torch.stack(torch._foreach_norm(tensors)) for tensors in (apart, along))
    return torch.stack([*lengths, 2 * torch.atan2(chord, sum_)]).T.tolist()


def _ratio(one: float, other: float) -> float:
    return one / other if other != 0 else math.nan
