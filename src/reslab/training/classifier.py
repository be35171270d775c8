"""The LightningModule: a net, its optimiser and rate; running loss and error. Nothing else."""

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import MeanMetric

from reslab.training.steps import Batches, train_steps


class Classifier(pl.LightningModule):
    """Trains slices of the data plan by hand: addressed by optimiser step, not by Lightning's batch or epoch.

    `error` and `loss` are the running means over augmented, moving-weights batches since they were last read;
    the clean training error is `training.evaluate`'s business.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        optimiser: Callable[[nn.Module], torch.optim.Optimizer],
        lr: Callable[[int], float],
        seed: int,
    ) -> None:
        """`lr` gives the learning rate of an optimiser step, counted from 0; `seed` is for layers that draw numbers."""
        super().__init__()
        self.automatic_optimization = False
        self.net, self._optimiser, self.lr, self._seed = net, optimiser, lr, seed
        self.loss, self.error = MeanMetric(nan_strategy="disable"), MeanMetric(nan_strategy="disable")
        for metric in (self.loss, self.error):
            metric.persistent(True)
        self.register_buffer("first_bad_step", torch.tensor(-1))
        self.first_bad_step: Tensor

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Normalised images to logits."""
        return self.net(images)

    def training_step(self, batch: Batches, batch_idx: int) -> None:
        """All steps of one slice."""
        loss, errors, n = train_steps(
            self.net, self.optimizers(), batch, lr=self.lr, seed=self._seed, first_bad=self.first_bad_step
        )
        self.loss.update(loss / n, n)
        self.error.update(errors / n, n)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimiser over this net."""
        return self._optimiser(self.net)

    def read_running(self) -> dict[str, float]:
        """Running loss (nats) and error (share) since the last reading; a look at the device."""
        values = {"loss": self.loss.compute().item(), "error": self.error.compute().item()}
        self.loss.reset()
        self.error.reset()
        return values
