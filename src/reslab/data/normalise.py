"""Normalisation computed from the training split; part of the recipe, stored with the run."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """(pixel / 255 - mean) / std, broadcast over a batch."""

    mean: Float[Tensor, " c #h #w"]
    std: Float[Tensor, "#c 1 1"]

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Bytes to normalised floats."""
        return (images.float() / 255 - self.mean) / self.std

    def to(self, device: torch.device) -> "Normalisation":
        """The same on another device."""
        return Normalisation(self.mean.to(device), self.std.to(device))


def pixel_mean(images: UInt8[Tensor, "n c h w"]) -> Normalisation:
    """Subtract the mean image, divide by nothing (He 2015, section 4.2)."""
    mean = images.sum(0, dtype=torch.int64).double() / (255 * len(images))
    return Normalisation(mean.float(), torch.ones(1, 1, 1))


def channel(images: UInt8[Tensor, "n c h w"]) -> Normalisation:
    """Subtract each channel's mean, divide by its standard deviation over all pixels."""
    count = images.numel() // images.shape[1]
    histogram = torch.stack([torch.bincount(images[:, c].flatten(), minlength=256) for c in range(images.shape[1])])
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = (histogram * level).sum(1) / count
    variance = (histogram * (level - mean[:, None]) ** 2).sum(1) / count
    std = variance.sqrt().clamp_min(1 / 255)  # a constant channel is left unscaled rather than divided by 0
    return Normalisation(mean.float()[:, None, None], std.float()[:, None, None])
