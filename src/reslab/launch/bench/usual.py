"""The data of the usual CIFAR trainer: a Dataset of single images, three PIL transforms, a DataLoader.

torchvision is no dependency of ours, so its RandomCrop(size, padding), RandomHorizontalFlip and ToTensor are written
out as it does them on PIL images: the same calls of PIL, the same random numbers of torch per image.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    """Single images as a trainer sees them, augmented anew at every look."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "n h w c"],
        labels: Int64[np.ndarray, " n"],
        *,
        mean: Float[Tensor, "c 1 1"],
        std: Float[Tensor, "c 1 1"],
        pad: int,
        flip: bool,
    ) -> None:
        """`pad` in pixels, black; 0 for no crop."""
        self.images, self.labels, self.mean, self.std, self.pad, self.flip = images, labels, mean, std, pad, flip

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Float[Tensor, "c h w"], int]:
        """From bytes through PIL to a normalised tensor."""
        picture = Image.fromarray(self.images[row].squeeze())
        if self.pad:
            picture = random_crop(picture, self.pad)
        if self.flip and torch.rand(1) < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return to_tensor(picture).sub_(self.mean).div_(self.std), int(self.labels[row])


def random_crop(picture: Image.Image, pad: int) -> Image.Image:
    """A window of the picture's own size out of the picture with a black border of `pad` pixels."""
    size = picture.width
    wide = ImageOps.expand(picture, border=pad, fill=0)
    top, left = (int(torch.randint(0, 2 * pad + 1, (1,)).item()) for _ in range(2))
    return wide.crop((left, top, left + size, top + size))


def to_tensor(picture: Image.Image) -> Float[Tensor, "c h w"]:
    """Bytes to floats from 0 to 1, channels first."""
    pixels = torch.from_numpy(np.array(picture, copy=True))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return pixels.permute(2, 0, 1).contiguous().float().div(255)


def endless(pictures: Pictures, batch: int, workers: int, device: torch.device) -> Iterator[list[Tensor]]:
    """Batches on a device without end, shuffled anew in every epoch, by so many worker processes (0: in this one).

    The processes outlive an epoch, as they do in effect where it is a long one.
    """
    loader = DataLoader(
        pictures,
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    while True:
        for found in loader:
            yield [part.to(device, non_blocking=True) for part in found]
