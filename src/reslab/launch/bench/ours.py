"""Our own contestants: runs as the product makes them, with a clock among the callbacks; and their parts alone."""

import gc
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor

from reslab.data.module import ImageData, Part, Slice
from reslab.launch.begin import begin
from reslab.launch.bench.looks import Stopwatch
from reslab.launch.build import build_classifier, build_data, build_net
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer, Job
from reslab.launch.ranks import Place
from reslab.launch.worker import LONGEST_REPLAYED, LONGEST_SLICE, Run
from reslab.tracking.run import Tracker

CLOCK = "+callbacks.clock={_target_: reslab.launch.bench.ours.Clock}"


class Clock(pl.Callback):
    """Times the steps between the ends of two slices, and can keep the mean loss within each slice."""

    def __init__(self) -> None:
        """Nothing has ended; `Ours` says what is to be timed, and by which watch."""
        self.watch: Stopwatch | None = None
        self.first = self.last = -1
        self.seconds = 0.0
        self.ends: list[int] = []
        self.losses: list[float] = []
        self.reads = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Note it; a GPU is waited for at the two ends that count, and a loss is read only where it is asked for."""
        if self.reads and not trainer.is_last_batch:  # the last was read for its row
            self.losses.append(pl_module.read_running()["loss"])  # type: ignore[operator]  # a Classifier
        self.ends.append(batch.stop)
        if self.watch is not None and batch.stop == self.first:
            self.watch.start()
        if self.watch is not None and batch.stop == self.last:
            self.seconds = self.watch.stop(self.last - self.first)


def job(words: Sequence[str], *, steps: int, outputs: Path, device: torch.device) -> Job:
    """The frozen run of a command line, of `steps` steps, evaluated on next to nothing."""
    trainer = "gpu" if device.type == "cuda" else "cpu"
    fixed = ["tracking=disabled", "probes=off", "evaluation={points: 1, subset: 64, batch: 64}", CLOCK]
    fixed += [
        f"trainer={trainer}",
        "trust=[reslab]",
        f"recipe.steps={steps}",
        "checkpoints=none",
        "checkpoint_every=1000000",
        f"outputs={outputs}",
    ]
    made = Freezer(command="").job(*compose("train", [*words, *fixed]), ())
    begin(made, torch.get_num_threads())
    return made


def longest(config: dict[str, Any], most: int) -> int:
    """Steps in the slices of a run, as `Run` makes them, but not more than `most`."""
    return min(most, LONGEST_REPLAYED if config["trainer"]["cuda_graph"] else LONGEST_SLICE)


class Ours:
    """A run through Trainer, Classifier and ImageData, of `warm` and `steps` steps; fitted anew in every turn.

    The clock runs from the end of the last slice of warm-up to the end of the last slice but one: what a run costs at
    its beginning and end is another benchmark.
    """

    def __init__(self, made: Job, watch: Stopwatch, *, warm: int, steps: int, most: int) -> None:
        """`most` is the number of steps in a slice where the product's own is greater."""
        self.made, self.watch, self.warm, self.steps = made, watch, warm, steps
        assert made.config["recipe"]["steps"] == warm + steps + 1, (
            "a slice more, so that the last one timed is not last"
        )
        each = longest(made.config, most)
        inside = range(warm + each, warm + steps, each)
        self.stops = tuple(sorted({warm, *inside, warm + steps, warm + steps + 1}))
        self.net = build_net(made.config)
        self.data: Any = build_data(made.config, self.stops)

    def turn(self) -> float:
        """Seconds per step."""
        return self.fit().seconds

    def losses(self, steps: int) -> list[float]:
        """The losses of the first steps, each a slice of its own; it makes a step more, whose loss goes into a row."""
        data, self.data = self.data, build_data(self.made.config, tuple(range(1, steps + 2)))
        found = self.fit(reads=True).losses[:steps]
        self.data = data
        return found

    def fit(self, *, reads: bool = False) -> Clock:
        """Train once, from the weights as they are; by a module of its own, since a recorded step knows its tensors."""
        run = Run(self.made.folder, self.made.config, Place())
        run._tell(0, 0.0)
        trainer = run._trainer(None, Tracker(None, 0), None)
        made = trainer.callbacks  # type: ignore[attr-defined]  # absent from Lightning's annotations
        clock = next(found for found in made if isinstance(found, Clock))
        asked = self.warm + self.watch.steps(self.steps)
        clock.first, clock.last = self.warm, min(stop for stop in self.stops if stop >= asked)
        clock.reads, clock.watch = reads, None if reads else self.watch
        trainer.fit(build_classifier(self.made.config, self.net), self.data)
        if self.watch.device.type == "cuda":
            del run, trainer, made
            gc.collect()  # what a run has taken of the GPU, in cycles of Lightning's, is not the next contestant's
        return clock


class Alone:
    """The step function of ours called in a bare loop, slice by slice, without Lightning."""

    def __init__(self, made: Job, watch: Stopwatch, *, warm: int, steps: int, most: int) -> None:
        """As `Ours`."""
        self.config, self.watch, self.warm, self.steps = made.config, watch, warm, steps
        self.longest = longest(made.config, most)
        self.module = build_classifier(made.config, build_net(made.config)).to(watch.device)
        self.optimiser = self.module.configure_optimizers()
        self.data = build_data(made.config, (warm + steps,))
        place(self.data, watch.device)

    def turn(self) -> float:
        """Seconds per step."""
        self._slice(0, self.warm)
        stop = self.warm + self.watch.steps(self.steps)
        self.watch.start()
        for start in range(self.warm, stop, self.longest):
            self._slice(start, min(start + self.longest, stop))
        return self.watch.stop(stop - self.warm)

    def losses(self, steps: int) -> list[float]:
        """As of `Ours`."""
        found = [self._slice(at, at + 1).tolist() for at in range(steps + 1)]
        return [loss / images for loss, _, images in found[:steps]]

    def _slice(self, start: int, stop: int) -> Float[Tensor, " 3"]:
        with precision(self.config, self.watch.device):
            return self.module.steps(self.optimiser, Slice(self.data, start, stop))


def place(data: ImageData, device: torch.device) -> None:
    """Set up, and have the training images where a Trainer would have put them."""
    data.setup()
    assert data.train is not None
    data.train = Part(data.train.images.to(device), data.train.labels.to(device))
    data.normalisation = data.normalisation.to(device)


def precision(config: dict[str, Any], device: torch.device) -> AbstractContextManager:
    """What Lightning puts around a step: autocast without its cache of cast weights, or nothing."""
    mixed = config["recipe"]["precision"] == "bf16-mixed"
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False) if mixed else nullcontext()
