"""Shows a net, or one step of it, to a probe at scheduled steps; the run never notices, and the cost is measured."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reslab import world
from reslab.data.module import ImageData, Slice
from reslab.probes.addresses import convolutions
from reslab.probes.geometry import at_start, norms
from reslab.probes.reading import ProbeBatch, Reading
from reslab.training.classifier import Classifier

Keep = Callable[[int, str, Sequence[Reading]], None]


@runtime_checkable
class OfNet(Protocol):
    """A probe of a net as it is, shown a fixed batch."""

    def __call__(self, net: nn.Module, batch: ProbeBatch) -> list[Reading]:
        """Must leave the net as it was."""
        ...


@runtime_checkable
class OfStep(Protocol):
    """A probe of one optimiser step: convolutions before and after it, and the gradients that it used."""

    def __call__(
        self,
        before: dict[str, Tensor],
        after: dict[str, Tensor],
        gradients: dict[str, Tensor],
        *,
        initial: dict[str, float],
        lr: float,
        weight_decay: float,
        momentum: float,
    ) -> list[Reading]:
        """`initial` holds the norms at step 0."""
        ...


class Record(pl.Callback):
    """One probe of the net, at the steps of `at`. Rank 0 measures a copy of its own, while the others wait."""

    def __init__(
        self, name: str, probe: OfNet, *, at: Sequence[int], show: Callable[[ImageData], ProbeBatch], keep: Keep
    ) -> None:
        """`show` gives the probe batch, `keep` takes the readings; `seconds` counts what this attempt has cost."""
        self.name, self._probe, self._at, self._show, self._keep = name, probe, frozenset(at), show, keep
        self.seconds = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The untrained net."""
        if trainer.global_step == 0:
            self._measure(trainer, pl_module, 0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """After the slice that ends at a scheduled step."""
        self._measure(trainer, pl_module, batch.stop)

    def _measure(self, trainer: pl.Trainer, module: pl.LightningModule, step: int) -> None:
        if step not in self._at or world.rank() > 0:
            return
        began = time.perf_counter()
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit()
        assert isinstance(module, Classifier)
        with world.aside():  # synchronised norms would wait for ranks that do not measure
            self._keep(step, self.name, self._probe(module.net, self._show(data)))
        self.seconds += time.perf_counter() - began


class RecordStep(pl.Callback):
    """One probe of the optimiser step that ends at each step of `at`; slices must end there and one step before.

    It costs a copy of the convolutions at those steps: the gradients are those that the step itself has left.
    """

    def __init__(self, name: str, probe: OfStep, *, at: Sequence[int], keep: Keep) -> None:
        """As `Record`."""
        self.name, self._probe, self._at, self._keep = name, probe, frozenset(at), keep
        self.seconds = 0.0
        self._initial: dict[str, float] = {}
        self._before: dict[str, Tensor] = {}

    @property
    def state_key(self) -> str:
        """Its place in a checkpoint: one per probe."""
        return f"RecordStep {self.name}"

    def state_dict(self) -> dict[str, Any]:
        """The norms at step 0, which a resumed run could not measure."""
        return {"initial": self._initial}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The same again."""
        self._initial = state_dict["initial"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Norms before the first step."""
        if trainer.global_step == 0 and world.rank() == 0:
            self._initial = norms(_convolutions(pl_module))
            if 0 in self._at:
                self._keep(0, self.name, at_start(self._initial))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Slice, batch_idx: int
    ) -> None:
        """Keep the weights that the step will change."""
        if batch.stop in self._at and world.rank() == 0:
            assert batch.start == batch.stop - 1, "a slice of one step"
            began = time.perf_counter()
            self._before = {name: weight.detach().clone() for name, weight in _convolutions(pl_module).items()}
            self.seconds += time.perf_counter() - began

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Hold the weights against those before the step."""
        if batch.stop not in self._at or world.rank() > 0:
            return
        began = time.perf_counter()
        after = _convolutions(pl_module)
        gradients = {n: torch.zeros_like(w) if w.grad is None else w.grad for n, w in after.items()}
        settings = _settings(trainer.optimizers[0], after)
        initial = self._initial or dict.fromkeys(after, float("nan"))  # the run began without this probe
        readings = self._probe(self._before, after, gradients, initial=initial, **settings)
        self._keep(batch.stop, self.name, readings)
        self._before = {}
        self.seconds += time.perf_counter() - began


def _convolutions(module: pl.LightningModule) -> dict[str, Tensor]:
    assert isinstance(module, Classifier)
    return convolutions(module.net)


def _settings(optimiser: torch.optim.Optimizer, weights: dict[str, Tensor]) -> dict[str, float]:
    """Rate, decay and momentum of the group that convolutions are in; nan where the optimiser has no such thing."""
    first = next(iter(weights.values()), None)
    group = next((g for g in optimiser.param_groups if any(first is other for other in g["params"])), {})
    return {name: float(group.get(name, float("nan"))) for name in ("lr", "weight_decay", "momentum")}
