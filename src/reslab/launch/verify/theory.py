"""What theory says of wide fully connected nets at initialisation."""

import math

SPREAD = 1 - 1 / math.pi
"""Variance over a batch of what a He-initialised layer makes of the positive part of a standard normal input."""


def backward_growth(images: int) -> float:
    """Growth per layer of the squared gradient towards the input of a plain BN-ReLU net (Yang et al. 2019, Theorem 8).

    `images` share BatchNorm's statistics; with many of them it tends to pi / (pi - 1).
    """
    c = -1 / (images - 1)
    j = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    slope = (math.pi - math.acos(c)) / math.pi
    return (slope + images - 1) / ((images - 3) * (1 - j)) - 1 / (images - 3)


def linear_growth(images: int) -> float:
    """The same without an activation (Yang et al. 2019)."""
    return (images - 2) / (images - 3)


def variance(unit: int) -> float:
    """Variance over a large batch after so many pre-activation units, where it was 1 at first."""
    return 1 + SPREAD * unit


def gradient_growth(unit: int, units: int) -> float:
    """The squared gradient after a pre-activation unit over that after the last one.

    Every unit adds to the squared gradient its share 1 / variance; for many units the product tends to
    (variance(units) / variance(unit)) ** (pi / (pi - 1)).
    """
    return math.prod(1 + 1 / variance(k) for k in range(unit, units))


def gradient_cosine(units: int) -> float:
    """Mean cosine between two inputs' gradients through so many pre-activation units with BatchNorm.

    A unit's gradient is the shortcut's, shared, and the branch's, of which half of the inputs' gates agree by chance.
    """
    return math.prod((1 + 0.5 / variance(k)) / (1 + 1 / variance(k)) for k in range(units))
