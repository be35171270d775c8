"""One run, from its frozen config to result.json: the only place where nets, data, training and tracking meet."""

import logging
import sys
import time
import traceback
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from reslab import world
from reslab.callbacks import schedule as when
from reslab.callbacks.checkpoint import Save, replace, usable
from reslab.callbacks.evaluate import Evaluate, Row
from reslab.callbacks.progress import Progress
from reslab.callbacks.together import Together
from reslab.data.module import ImageData
from reslab.data.source import file_hash
from reslab.launch.build import build_classifier, build_data, build_net, read_data
from reslab.launch.construct import construct
from reslab.launch.evidence import hardware, weights_hash
from reslab.launch.instruments import Instruments
from reslab.launch.measure import Measure, as_record
from reslab.launch.ranks import Place
from reslab.runs.folder import RunFolder, write_json
from reslab.runs.reading import read_config
from reslab.runs.record import Rows
from reslab.runs.status import attempts, write_status
from reslab.tracking.run import Tracker, tracked
from reslab.training.classifier import Classifier
from reslab.training.evaluate import Score
from reslab.training.outcome import outcome
from reslab.training.synchronised import synchronise

REST = 5.0  # seconds
LONGEST_SLICE, LONGEST_REPLAYED = 10, 50  # steps; what Lightning does once in each takes 0.3 ms


def prepare_data(config: dict[str, Any]) -> None:
    """Decode and check both parts into the cache, so that no run starts on bad data."""
    read = read_data(config)
    for name in ("train", "test"):
        read(name)


def run(path: str, place: Place) -> None:
    """Train the run of this folder, as one of its ranks; a failure is recorded, with its traceback in the log."""
    folder = RunFolder(Path(path))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # no hardware list and no advertisements
    warnings.filterwarnings("ignore", "The `srun` command is available")  # a machine with SLURM is no SLURM task
    try:
        if place.size > 1:
            if place.backend == "nccl":
                torch.cuda.set_device(place.local)
            world.join(rank=place.rank, size=place.size, meeting_point=place.meeting_point, backend=place.backend)
            world.must_agree("run", place.run)
        Run(folder, read_config(folder.config), place).execute()
        world.leave()
    except Exception as error:
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        if place.size > 1:
            if isinstance(error, dist.DistBackendError) or "gloo" in str(error).lower():
                time.sleep(REST)  # a peer is gone: our parent must see that one first
            sys.exit(1)  # our parent writes the record: it knows which rank was the first
        reason = (str(error).splitlines() or [""])[0]
        write_json(folder.result, {"outcome": "failed", "reason": f"{type(error).__name__}: {reason}"[:500]})
        attempt, origin = attempts(folder)
        write_status(folder, "ended", {"attempt": attempt, "origin": origin, "reason": "failed"})
        sys.exit(1)


class Run:
    """The stages of one run, in order; holds what they share."""

    def __init__(self, folder: RunFolder, config: dict[str, Any], place: Place) -> None:
        """Nothing is built yet."""
        self.folder, self.config, self.place = folder, config, place
        self.began = time.monotonic()
        self.times: dict[str, float] = {}
        self.measure = Measure(config, self._beat)
        self.attempt, self.origin = attempts(folder)
        self.steps = config["recipe"]["steps"]
        evaluation = config["evaluation"]
        self.scored = when.evenly(self.steps, evaluation["points"])
        self.saved = when.every(self.steps, config["checkpoint_every"])
        self.kept = when.log_spaced(self.steps) if config["checkpoints"] == "log" else ()
        self.instruments = Instruments(config, folder)

    def execute(self) -> None:
        """Build, fit, evaluate, write the result; ranks other than 0 write nothing."""
        self._tell(0, 0.0)
        net = build_net(self.config)
        self.params = sum(p.numel() for p in net.parameters())
        if self.config["trainer"]["sync_batchnorm"]:
            synchronise(net)
        module = build_classifier(self.config, net)
        longest = LONGEST_REPLAYED if self.config["trainer"].get("cuda_graph", False) else LONGEST_SLICE
        stops = when.slices(self.steps, longest, self.scored, self.saved, self.kept, self.instruments.stops)
        data = build_data(self.config, stops)
        self._lap("build")
        checkpoint, problems = usable(self.folder.checkpoints)
        for problem in problems:
            print(
                problem, "- using", checkpoint.name if checkpoint else "no checkpoint: starting at step 0", flush=True
            )
        if checkpoint is None and self.origin != self.attempt:
            self.origin = self.attempt
            self._tell(0, 0.0)
        first = self.place.rank == 0
        with tracked(self.config, attempt=self.origin) if first else nullcontext(Tracker(None, 0)) as tracker:
            rows = Rows(self.folder.metrics, self.attempt) if first else None
            trainer = self._trainer(rows, tracker, checkpoint)
            self._lap("open")
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
            if trainer.interrupted:
                raise KeyboardInterrupt
            module.to(trainer.strategy.root_device)  # Lightning has put it on the CPU; the data are where they were
            self._lap("fit")
            scores = self._scores(module, data)
            result = self._result(trainer, module, data, scores)
            tracker.finish(result, self.instruments.rows)
        self._lap("close")
        if rows is not None:
            rows.close()
            self._write(result, net, data)

    def _write(self, result: dict[str, Any], net: nn.Module, data: ImageData) -> None:
        result["times"] = self.times
        self._keep_weights(net, data)
        write_json(self.folder.result, result)
        self._drop_checkpoints()
        facts = {"attempt": self.attempt, "origin": self.origin, "reason": result["outcome"]}
        write_status(self.folder, "ended", facts)

    def _trainer(self, rows: Rows | None, tracker: Tracker, checkpoint: Path | None) -> pl.Trainer:
        config = self.config

        def write(row: Row) -> None:
            if rows is not None:
                rows.write(row)
                tracker.log(row)

        extra = [construct(node, config["trust"]) for node in config["callbacks"].values()]
        self.progress = Progress(self._tell)
        facts = {"config": self.folder.config.read_text(), "checkpoint": file_hash(checkpoint) if checkpoint else ""}
        together = Together(facts if self.place.size > 1 else {})
        inside = self.instruments
        scored = Evaluate(at=self.scored, score=self.measure.scheduled, write=write, beside=inside.row)
        own = [together, self.progress, inside, *inside.probes, scored]
        save = Save(self.folder.checkpoints, at=self.saved, keep=self.kept)
        return pl.Trainer(
            accelerator=config["trainer"]["accelerator"],
            devices=config["devices"],
            num_nodes=config["num_nodes"],
            strategy=DDPStrategy() if self.place.size > 1 else "auto",
            plugins=[LightningEnvironment()],  # or it would find SLURM's, and requeue the job by itself
            precision="32-true" if config["recipe"]["precision"] == "fp32" else "bf16-mixed",
            max_epochs=1,
            callbacks=[*own, *extra, save],
            logger=tracker.lightning_logger() or False,
            default_root_dir=self.folder.path,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )

    def _scores(self, module: Classifier, data: ImageData) -> dict[str, Score]:
        diverged = int(module.first_bad_step) >= 0
        scores = {} if diverged else self.measure.final(module.net, data)
        self._lap("evaluate")
        return scores

    def _result(
        self, trainer: pl.Trainer, module: Classifier, data: ImageData, scores: dict[str, Score]
    ) -> dict[str, Any]:
        net, bad = module.net, int(module.first_bad_step)
        train = scores.get("train", Score(0, 1, 0.0))
        classes = self.config["data"]["classes"]
        step = int(trainer.global_step)
        return {
            "outcome": outcome(errors=train.errors, n=train.n, classes=classes, first_bad_step=bad),
            "reason": f"the loss was not finite at step {bad}" if bad >= 0 else None,
            "first_bad_step": bad if bad >= 0 else None,
            "cell": self.config["run"]["cell"],
            "seed": self.config["seed"],
            "step": step,
            "samples": step * self.config["recipe"]["batch"],
            "attempt": self.attempt,
            **{name: as_record(score) for name, score in scores.items()},
            **{key: self.config["run"][key] for key in ("norm_params", "macs", "commit", "versions", "command")},
            "params": self.params,
            "split": data.split_hashes,
            "evaluation_subset": self.measure.subset_hash,
            "weights": weights_hash(net),
            "probes": self.instruments.cost(self.progress.seconds),
            "images_per_second": round(self._rate(data), 2),
            "hardware": hardware(trainer, self.config),
        }

    def _rate(self, data: ImageData) -> float:
        return self.progress.rate() * data.plan.batch

    def _keep_weights(self, net: nn.Module, data: ImageData) -> None:
        """The final checkpoint; the one to resume from stays as previous.ckpt until the result is written."""
        if self.config["checkpoints"] == "none":
            return
        folder, norm = self.folder.checkpoints, data.normalisation
        state = {
            "schema": 1,
            "state_dict": {name: value.cpu() for name, value in net.state_dict().items()},
            "normalisation": {"mean": norm.mean.cpu(), "std": norm.std.cpu()},
            "config": self.config,
        }
        replace(folder / "last.ckpt", lambda path: torch.save(state, path), keep=folder / "previous.ckpt")

    def _drop_checkpoints(self) -> None:
        """What only a resumption needs."""
        (self.folder.checkpoints / "previous.ckpt").unlink(missing_ok=True)
        if self.config["checkpoints"] == "none":
            (self.folder.checkpoints / "last.ckpt").unlink(missing_ok=True)

    def _beat(self) -> None:
        """A sign of life from a long measurement."""
        step, rate, when_told = self.told
        if time.monotonic() - when_told >= 1:
            self._tell(step, rate)

    def _tell(self, step: int, rate: float) -> None:
        self.told = step, rate, time.monotonic()
        if self.place.rank > 0:
            return
        facts = {"attempt": self.attempt, "origin": self.origin, "step": step, "steps": self.steps}
        write_status(self.folder, "running", facts | {"rate": round(rate, 3)})

    def _lap(self, name: str) -> None:
        now = time.monotonic()
        self.times[name] = round(now - self.began - sum(self.times.values()), 4)
