"""Activations. Torch is imported only when a layer is made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def relu() -> "nn.Module":
    """max(x, 0); not in place, since a pre-activation unit's raw input is still needed."""
    from torch import nn

    return nn.ReLU()
