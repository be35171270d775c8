"""The LightningModule: a net, its optimiser and rate; running loss and error. Nothing else."""

from collections.abc import Callable
from typing import Any, cast

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import SumMetric

from reslab import world
from reslab.training.captured import Captured
from reslab.training.steps import Batches, Forward, Update, directly, plainly, train_steps


class Classifier(pl.LightningModule):
    """Trains slices of the data plan by hand: addressed by optimiser step, not by Lightning's batch or epoch.

    `read_running` gives loss and error over augmented, moving-weights batches since it was last called;
    the clean training error is `training.evaluate`'s business.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        optimiser: Callable[[nn.Module], torch.optim.Optimizer],
        lr: Callable[[int], float],
        seed: int,
        update: Update = plainly,
        forward: Forward = directly,
        captured: Captured | None = None,
    ) -> None:
        """`lr` gives the learning rate of an optimiser step, counted from 0; `seed` is for layers that draw numbers.

        `update` makes the steps, and `forward` computes what they learn from, as in `training.steps`; `captured` takes
        their place where steps are replayed.
        """
        super().__init__()
        self.automatic_optimization = False
        self.net, self._optimiser, self.lr, self._seed = net, optimiser, lr, seed
        self._update, self._forward, self._captured = update, forward, captured
        # sums, not MeanMetric: that drops its weights where NaNs are let through. They come summed over ranks
        names = ("loss", "error", "images")
        self.running = nn.ModuleDict({name: SumMetric(nan_strategy="disable", sync_on_compute=False) for name in names})
        for metric in self._sums():
            metric.persistent(True)
        self.register_buffer("first_bad_step", torch.tensor(-1))
        self.first_bad_step: Tensor

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Normalised images to logits."""
        return self.net(images)

    def training_step(self, batch: Batches, batch_idx: int) -> None:
        """All steps of one slice."""
        for metric, total in zip(self._sums(), self.steps(self.optimizers(), batch), strict=True):
            metric.update(total)

    def steps(self, optimiser: Any, batch: Any) -> Float[Tensor, " 3"]:
        """Loss, errors and images of the steps of one slice, made by `optimiser`; sums that stay on the device."""
        if self._captured is not None:
            return self._captured(
                self.net, optimiser, batch, lr=self.lr, seed=self._seed, first_bad=self.first_bad_step
            )
        return train_steps(
            self.net,
            optimiser,
            batch,
            lr=self.lr,
            seed=self._seed,
            first_bad=self.first_bad_step,
            backward=self.manual_backward if world.size() > 1 else Tensor.backward,
            update=self._update,
            forward=self._forward,
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimiser over this net."""
        return self._optimiser(self.net)

    def read_running(self) -> dict[str, float]:
        """Running loss (nats) and error (share) since the last reading; a look at the device."""
        loss, errors, images = (metric.compute().item() for metric in self._sums())
        for metric in self._sums():
            metric.reset()
        return {"loss": loss / images, "error": errors / images}

    def _sums(self) -> list[SumMetric]:
        return [cast(SumMetric, metric) for metric in self.running.values()]
