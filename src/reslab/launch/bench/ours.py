"""Our own contestants: runs as the product makes them, with a clock among the callbacks; and their parts alone."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from reslab.data.module import Slice
from reslab.launch.begin import begin
from reslab.launch.build import build_classifier, build_data, build_net
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer, Job
from reslab.launch.ranks import Place
from reslab.launch.worker import Run
from reslab.tracking.run import Tracker
from reslab.training.steps import train_steps

CLOCK = "+callbacks.clock={_target_: reslab.launch.bench.ours.Clock}"


class Clock(pl.Callback):
    """When each slice ended, and the mean loss within it."""

    def __init__(self) -> None:
        """Nothing has ended."""
        self.ends: dict[int, float] = {}
        self.losses: list[float] = []
        self.reads = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Slice, batch_idx: int
    ) -> None:
        """Note it; the loss is read only where it is asked for, since that is a look at the device."""
        if self.reads and not trainer.is_last_batch:  # the last was read for its row
            self.losses.append(pl_module.read_running()["loss"])  # type: ignore[operator]  # a Classifier
        self.ends[batch.stop] = time.perf_counter()


def job(words: Sequence[str], *, steps: int, outputs: Path) -> Job:
    """The frozen run of a command line, of `steps` steps, evaluated on next to nothing."""
    fixed = ["tracking=disabled", "trainer=cpu", "probes=off", "evaluation={points: 1, subset: 64, batch: 64}", CLOCK]
    fixed += [
        "trust=[reslab]",
        f"recipe.steps={steps}",
        "checkpoints=none",
        "checkpoint_every=1000000",
        f"outputs={outputs}",
    ]
    made = Freezer(command="").job(*compose("train", [*words, *fixed]), ())
    begin(made, torch.get_num_threads())
    return made


class Ours:
    """A run through Trainer, Classifier and ImageData, of `warm` and `steps` steps; fitted anew in every turn.

    The clock runs from the end of the last slice of warm-up to the end of the last slice but one: what a run costs at
    its beginning and end is another benchmark.
    """

    def __init__(self, made: Job, *, warm: int, steps: int, longest: int) -> None:
        """`longest` is the number of steps in a slice."""
        self.made, self.warm, self.steps = made, warm, steps
        assert made.config["recipe"]["steps"] == warm + steps + 1, (
            "a slice more, so that the last one timed is not last"
        )
        inside = range(warm + longest, warm + steps, longest)
        self.stops = tuple(sorted({warm, *inside, warm + steps, warm + steps + 1}))
        self.net = build_net(made.config)
        self.module = build_classifier(made.config, self.net)
        self.data: Any = build_data(made.config, self.stops)

    def turn(self) -> float:
        """Seconds per step."""
        clock = self.fit()
        return (clock.ends[self.warm + self.steps] - clock.ends[self.warm]) / self.steps

    def losses(self, steps: int) -> list[float]:
        """The losses of the first steps, each a slice of its own."""
        total = self.made.config["recipe"]["steps"]
        data, self.data = self.data, build_data(self.made.config, tuple(range(1, total + 1)))
        found = self.fit(reads=True).losses[:steps]
        self.data = data
        return found

    def fit(self, *, reads: bool = False) -> Clock:
        """Train once, from the weights as they are."""
        run = Run(self.made.folder, self.made.config, Place())
        run._tell(0, 0.0)
        trainer = run._trainer(None, Tracker(None, 0), None)
        made = trainer.callbacks  # type: ignore[attr-defined]  # absent from Lightning's annotations
        clock = next(found for found in made if isinstance(found, Clock))
        clock.reads = reads
        trainer.fit(self.module, self.data)
        return clock


class Alone:
    """The step function of ours called in a bare loop, slice by slice, without Lightning."""

    def __init__(self, made: Job, *, warm: int, steps: int, longest: int) -> None:
        """As `Ours`."""
        self.config, self.warm, self.steps, self.longest = made.config, warm, steps, longest
        net = build_net(made.config)
        self.module = build_classifier(made.config, net)
        self.optimiser = self.module.configure_optimizers()
        self.data = build_data(made.config, (warm + steps,))
        self.data.setup()

    def turn(self) -> float:
        """Seconds per step."""
        self._slice(0, self.warm)
        began = time.perf_counter()
        for start in range(self.warm, self.warm + self.steps, self.longest):
            self._slice(start, min(start + self.longest, self.warm + self.steps))
        return (time.perf_counter() - began) / self.steps

    def _slice(self, start: int, stop: int) -> None:
        with precision(self.config):
            train_steps(
                self.module.net,
                self.optimiser,
                Slice(self.data, start, stop),
                lr=self.module.lr,
                seed=self.config["seeds"]["augment"],
                first_bad=self.module.first_bad_step,
            )


def precision(config: dict[str, Any]) -> AbstractContextManager:
    """What Lightning puts around a step: on a CPU, autocast without its cache of cast weights, or nothing."""
    mixed = config["recipe"]["precision"] == "bf16-mixed"
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=False) if mixed else nullcontext()
