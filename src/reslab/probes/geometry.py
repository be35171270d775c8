"""Update geometry: how far one step turns a weight, whatever its length; BatchNorm makes the length irrelevant."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm as norm

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
    layers = [_of_layer(gradients[name], before[name], after[name]) for name in before]
    rows = _with_angle(torch.stack(layers)).tolist()
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
    found = torch.stack([norm(weight.detach(), dtype=torch.float64) for weight in weights.values()]).tolist()
    return dict(zip(weights, found, strict=True))


def _of_layer(gradient: Tensor, before: Tensor, after: Tensor) -> Float[Tensor, " 4"]:
    """Norms of gradient, old and new weight, and the chord between both weights at length 1; all in fp64."""
    old, new = before.detach().double(), after.detach().double()
    old_norm, new_norm = norm(old), norm(new)
    chord = norm((old / old_norm).sub_(new / new_norm))
    return torch.stack([norm(gradient.detach(), dtype=torch.float64), old_norm, new_norm, chord])


def _with_angle(rows: Float[Tensor, "layers 4"]) -> Float[Tensor, "layers 4"]:
    """The chord as an angle, exact also where an arc cosine would fail: |u + v|^2 = 4 - |u - v|^2 at length 1."""
    chord = rows[:, 3]
    angle = 2 * torch.atan2(chord, (4 - chord.square()).clamp_min(0).sqrt())
    return torch.cat([rows[:, :3], angle[:, None]], dim=1)


def _ratio(one: float, other: float) -> float:
    return one / other if other != 0 else math.nan
