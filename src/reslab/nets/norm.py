"""Norms: batch, group, absent. Torch is imported only when a layer is made."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Batch:
    """Batch normalisation (Ioffe and Szegedy 2015); `momentum` is the weight of the newest batch."""

    eps: float
    momentum: float

    def weights(self, channels: int) -> int:
        """A scale and a shift per channel; ValueError for an eps or a momentum that no norm can have."""
        _check_eps(self.eps)
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"norm.momentum={self.momentum} is no weight in [0, 1]; 0.1 is PyTorch's")
        return 2 * channels

    def layer(self, channels: int) -> "nn.Module":
        """(n, c, h, w) to the same shape."""
        from torch import nn

        return nn.BatchNorm2d(channels, eps=self.eps, momentum=self.momentum)


@dataclass(frozen=True)
class Group:
    """Group normalisation (Wu and He 2018); independent of the batch."""

    groups: int
    eps: float

    def weights(self, channels: int) -> int:
        """A scale and a shift per channel; ValueError where the groups do not divide the channels, and for eps."""
        _check_eps(self.eps)
        if self.groups < 1 or channels % self.groups:
            fits = [g for g in range(1, channels + 1) if channels % g == 0]
            near = min(fits, key=lambda g: abs(g - self.groups))
            raise ValueError(f"norm.groups={self.groups} does not divide {channels} channels; {near} does")
        return 2 * channels

    def layer(self, channels: int) -> "nn.Module":
        """(n, c, h, w) to the same shape."""
        from torch import nn

        return nn.GroupNorm(self.groups, channels, eps=self.eps)


@dataclass(frozen=True)
class Absent:
    """No normalisation."""

    def weights(self, channels: int) -> int:
        """None."""
        return 0

    def layer(self, channels: int) -> None:
        """None: nothing is built."""


def _check_eps(eps: float) -> None:
    if not 0 < eps < 1:
        raise ValueError(f"norm.eps={eps} is not in (0, 1): it keeps a variance of 0 from being divided by; use 1e-5")
