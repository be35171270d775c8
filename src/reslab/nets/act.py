"""Activations. Torch is imported only when a layer is made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def relu() -> "nn.Module":
    """max(x, 0); not in place, since a pre-activation unit's raw input is still needed."""
    from torch import nn

    return nn.ReLU()


def leaky_relu(*, slope: float) -> "nn.Module":
    """x where it is positive, slope * x elsewhere (Maas et al. 2013); not in place."""
    from torch import nn

    return nn.LeakyReLU(slope)
