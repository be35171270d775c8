"""The data of one run as a LightningDataModule: bytes on the run's device, batches made by the plan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from reslab import world
from reslab.data.arrays import Arrays, hash_of
from reslab.data.augment import crop_and_flip
from reslab.data.normalise import Normalisation
from reslab.data.plan import Plan
from reslab.data.split import trained_and_validation


@dataclass(frozen=True)
class Part:
    """Images as bytes and labels, on one device."""

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def select(self, rows: Int64[np.ndarray, " k"]) -> "Part":
        """The named rows."""
        at = torch.from_numpy(rows).to(self.labels.device)
        return Part(self.images[at], self.labels[at])


def part(arrays: Arrays, device: torch.device) -> Part:
    """Arrays as tensors in channels_last order."""
    images = torch.from_numpy(np.array(arrays.images)).to(device)
    return Part(
        images.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.array(arrays.labels)).to(device)
    )


class Slice:
    """The steps start .. stop - 1 of the plan: what happens between two scheduled steps.

    Not a dataclass: Lightning would take those apart to move them to a device, where the data are already.
    """

    def __init__(self, data: "ImageData", start: int, stop: int) -> None:
        """`stop` is the number of steps done after it."""
        self.data, self.start, self.stop = data, start, stop

    def __iter__(self) -> Iterator[tuple[int, Float[Tensor, "n c h w"], Int64[Tensor, " n"]]]:
        """Step, normalised and augmented images, labels."""
        for step in range(self.start, self.stop):
            yield step, *self.data.batch(step)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass."""
        return self.data.plan.steps_per_epoch

    def drawn(self, epoch: int) -> Int64[Tensor, "4 n"]:
        """As `ImageData.drawn`, of the full batches alone."""
        plan = self.data.plan
        return self.data.drawn(epoch)[:, : plan.steps_per_epoch * plan.batch]

    def assemble(self, drawn: Int64[Tensor, "4 n"]) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
        """As `ImageData.assemble`."""
        return self.data.assemble(drawn)


class Slices:
    """All slices of a run, from the trainer's global step on; Lightning sees one epoch of them."""

    def __init__(self, data: "ImageData", stops: tuple[int, ...]) -> None:
        """`stops` as in `callbacks.schedule.slices`."""
        self.data, self.stops = data, stops

    def __len__(self) -> int:
        """Slices of the whole run, done or not."""
        return len(self.stops)

    def __iter__(self) -> Iterator[Slice]:
        """Those that are left."""
        start = self.data.trainer.global_step if self.data.trainer else 0
        for stop in self.stops:
            if stop > start:
                yield Slice(self.data, start, stop)
                start = stop


class ImageData(pl.LightningDataModule):
    """Training and validation split of one source; test data are read by `test` alone."""

    def __init__(
        self,
        *,
        read: Callable[[str], Arrays],
        held_out: int,
        split_seed: int,
        normalise: Callable[[UInt8[Tensor, "n c h w"]], Normalisation],
        plan: Callable[[int], Plan],
        stops: tuple[int, ...],
    ) -> None:
        """`plan` is called with the size of the training split; `stops` are the last steps of the slices."""
        super().__init__()
        self._read, self._normalise, self._make_plan, self._stops = read, normalise, plan, stops
        self._held_out, self._split_seed = held_out, split_seed
        self.train: Part | None = None

    def setup(self, stage: str = "fit") -> None:
        """Read, split and place the training data, once."""
        if self.train is not None:
            return
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        everything = part(self._read("train"), torch.device("cpu"))
        kept, held = trained_and_validation(everything.labels.numpy(), self._held_out, self._split_seed)
        self.split_hashes = {"train": hash_of(kept), "validation": hash_of(held)}
        self.normalisation = self._normalise(everything.images[torch.from_numpy(kept)]).to(device)
        self.plan = self._make_plan(len(kept))
        everything = Part(everything.images.to(device), everything.labels.to(device))
        self.train, self.validation = everything.select(kept), everything.select(held)
        self._epoch: tuple[int, Tensor | None] = (-1, None)

    def test(self) -> Part:
        """The test part, read now."""
        assert self.train is not None, "set up first"
        return part(self._read("test"), self.train.labels.device)

    def batch(self, step: int) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
        """This rank's share of the batch of one optimiser step: all of it where there is one rank."""
        number, rows = self.plan.locate(step)
        share = self.plan.batch // world.size()
        rows = slice(rows.start + world.rank() * share, rows.start + (world.rank() + 1) * share)
        return self.assemble(self.drawn(number)[:, rows])

    def drawn(self, epoch: int) -> Int64[Tensor, "4 n"]:
        """The plan of an epoch on the run's device, in step order: image, vertical and horizontal offset, flip."""
        assert self.train is not None, "set up first"
        number, drawn = self._epoch
        if number != epoch or drawn is None:
            numbers = np.stack([np.asarray(values, dtype=np.int64) for values in self.plan.epoch(epoch)])
            drawn = torch.from_numpy(numbers).to(self.train.labels.device)
            self._epoch = (epoch, drawn)
        return drawn

    def assemble(self, drawn: Int64[Tensor, "4 n"]) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
        """Images and labels of some columns of `drawn`; the device's work alone, without a word from the host."""
        assert self.train is not None, "set up first"
        order, dy, dx, flip = drawn
        images = self.normalisation(self.train.images[order])
        if self.plan.pad or self.plan.flip:
            images = crop_and_flip(images, dy, dx, flip.bool(), pad=self.plan.pad)
        return images.contiguous(memory_format=torch.channels_last), self.train.labels[order]

    def train_dataloader(self) -> Slices:
        """Slices instead of batches: see `Slices`."""
        return Slices(self, self._stops)
