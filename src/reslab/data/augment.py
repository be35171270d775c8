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
    n, c, size = len(images), images.shape[1], images.shape[-1]
    side, columns = size + 2 * pad, torch.arange(size, device=images.device)
    across = torch.where(flip[:, None], size - 1 - columns, columns) + dx[:, None]
    first = (torch.arange(n, device=images.device)[:, None] * side + columns + dy[:, None]) * side
    padded = F.pad(images, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    pixels = padded.reshape(-1, c).index_select(0, (first[:, :, None] + across[:, None, :]).flatten())
    return pixels.view(n, size, size, c).permute(0, 3, 1, 2)
