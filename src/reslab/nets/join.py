"""Joins: how branch and shortcut meet. Torch is imported only when a layer is made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def add() -> "nn.Module":
    """branch + shortcut (He 2015, Eqn. 1)."""
    from reslab.nets.layers import Add

    return Add()
