"""Pad-crop and flip over a whole batch, driven by the plan (He 2015, section 4.2)."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F


def crop_and_flip(
    images: Float[Tensor, "n c h w"],
    dy: Int64[Tensor, " n"],
    dx: Int64[Tensor, " n"],
    flip: Bool[Tensor, " n"],
    *,
    pad: int,
) -> Float[Tensor, "n c h w"]:
    """Zero-pad by `pad` pixels, cut out the window at (dy, dx) in 0 .. 2 * pad, mirror left to right where `flip`."""
    size = images.shape[-1]
    columns = torch.arange(size, device=images.device)
    across = torch.where(flip[:, None], size - 1 - columns, columns) + dx[:, None]
    down = columns + dy[:, None]
    padded = F.pad(images, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    rows = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[rows, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2)
