"""The probes of one run: built from its config, shown a fixed batch, their readings kept in its folder."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from reslab import world
from reslab.callbacks import schedule as when
from reslab.callbacks.evaluate import Row
from reslab.callbacks.record import Record, RecordStep
from reslab.data.arrays import hash_of
from reslab.data.module import ImageData
from reslab.data.split import some
from reslab.launch.construct import construct
from reslab.probes.reading import ProbeBatch, Reading
from reslab.runs.folder import RunFolder
from reslab.runs.readings import Readings


class Instruments(pl.Callback):
    """All probes of a run; as a callback it writes what they said whenever a checkpoint is saved.

    What is measured after the last checkpoint is measured again when the run is resumed, to the same bits.
    """

    def __init__(self, config: Mapping[str, Any], folder: RunFolder) -> None:
        """ValueError for probes that the config may not build."""
        chosen, trust = config["probes"], config["trust"]
        self._config, self._folder = config, folder
        self.at = when.chosen(chosen["at"], config["recipe"]["steps"])
        self.stops = tuple(sorted({step for at in self.at for step in (at - 1, at) if step > 0}))
        """Slices end there, with or without probes, so that they all sum their running loss in one order."""
        self._batch: ProbeBatch | None = None
        self._hash: str | None = None
        self._scalars: dict[int, Row] = {}
        self._readings: Readings | None = None
        self.probes: list[Record | RecordStep] = [
            RecordStep(_name(name, node), construct(node, trust), at=self.at, keep=self._keep)
            for name, node in chosen["of_step"].items()
        ]
        self.probes += [
            Record(_name(name, node), construct(node, trust), at=self.at, show=self._show, keep=self._keep)
            for name, node in chosen["of_net"].items()
        ]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with what was measured before the step of the checkpoint."""
        if self.probes and world.rank() == 0:
            run = f"{self._config['run']['cell'][:12]}-s{self._config['seed']}"
            self._readings = Readings(self._folder, run, until=trainer.global_step if trainer.global_step else -1)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Before the weights are on disk: a run that resumes there must find everything up to them."""
        self.write()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """What a run has measured before it fails is evidence, too."""
        self.write()

    def write(self) -> None:
        """Everything so far, on rank 0."""
        if self._readings is not None:
            self._readings.write()

    @property
    def rows(self) -> Sequence[tuple[Any, ...]]:
        """Everything so far, as `runs.readings` keeps it; nothing on other ranks."""
        return self._readings.rows if self._readings is not None else ()

    def row(self, step: int) -> Row:
        """Scalars of the whole net that the probes found at this step, flat; once."""
        return self._scalars.pop(step, {})

    def cost(self, seconds: float) -> dict[str, Any]:
        """What a result says of its probes; `seconds` of training in this attempt, measuring not counted."""
        spent = sum(probe.seconds for probe in self.probes)
        return {
            "names": [probe.name for probe in self.probes],
            "images": len(self._batch.labels) if self._batch else 0,
            "batch": self._hash,
            "seconds": round(spent, 4),
            "share": round(spent / seconds, 5) if seconds > 0 else 0.0,
        }

    def _keep(self, step: int, probe: str, readings: Sequence[Reading]) -> None:
        assert self._readings is not None, "training has started"
        self._readings.add(step, probe, readings)
        flat = {f"probes/{probe}/{found.statistic}": found.value for found in readings if found.layer == "trunk"}
        self._scalars[step] = self._scalars.get(step, {}) | flat

    def _show(self, data: ImageData) -> ProbeBatch:
        """The same training images at every step, for every cell of the same data and split."""
        if self._batch is None:
            assert data.train is not None
            labels, count = data.train.labels.cpu().numpy(), self._config["probes"]["images"]
            rows = some(labels, count, self._config["data"]["split_seed"], "probes")
            self._hash, shown = hash_of(rows), data.train.select(rows)
            images = data.normalisation(shown.images).contiguous(memory_format=torch.channels_last)
            self._batch = ProbeBatch(images, shown.labels, self._config["probes"]["chunk"])
        return self._batch


def _name(name: str, node: Mapping[str, Any]) -> str:
    """With the mode of BatchNorm that was measured; a step is taken in training mode."""
    return f"{name}/{node.get('bn', 'train')}"
