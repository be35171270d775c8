"""One run, from its frozen config to result.json: the only place where nets, data, training and tracking meet."""

import logging
import math
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch import nn

from reslab.callbacks import schedule as when
from reslab.callbacks.checkpoint import Save, replace, usable
from reslab.callbacks.progress import Progress
from reslab.callbacks.record import Record, Row
from reslab.data.arrays import hash_of
from reslab.data.module import ImageData, Part
from reslab.data.split import stratified
from reslab.launch.build import build_classifier, build_data, build_net, read_data
from reslab.launch.construct import construct
from reslab.launch.evidence import hardware, weights_hash
from reslab.runs.folder import RunFolder, write_json
from reslab.runs.record import Rows
from reslab.runs.status import attempts, write_status
from reslab.tracking.run import Tracker, tracked
from reslab.training.classifier import Classifier
from reslab.training.evaluate import Score, evaluate, with_fresh_statistics
from reslab.training.outcome import outcome

LONGEST_SLICE = 10  # steps; bounds the time between two looks at the progress bar, costs Lightning's 0.3 ms each


def prepare_data(config: dict[str, Any]) -> None:
    """Decode and check both parts into the cache, so that no run starts on bad data."""
    read = read_data(config)
    for name in ("train", "test"):
        read(name)


def run(path: str) -> None:
    """Train the run of this folder; a failure is recorded, with its traceback in the log."""
    folder = RunFolder(Path(path))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # no hardware list and no advertisements
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(folder.config))
        Run(folder, config).execute()
    except Exception as error:
        traceback.print_exc()
        reason = (str(error).splitlines() or [""])[0]
        sys.stdout.flush()
        write_json(folder.result, {"outcome": "failed", "reason": f"{type(error).__name__}: {reason}"[:500]})
        attempt, origin = attempts(folder)
        write_status(folder, "ended", {"attempt": attempt, "origin": origin, "reason": "failed"})
        sys.exit(1)


class Run:
    """The stages of one run, in order; holds what they share."""

    def __init__(self, folder: RunFolder, config: dict[str, Any]) -> None:
        """Nothing is built yet."""
        self.folder, self.config = folder, config
        self.began = time.monotonic()
        self.times: dict[str, float] = {}
        self.subset: Part | None = None
        self.subset_hash: str | None = None
        self.attempt, self.origin = attempts(folder)
        self.steps = config["recipe"]["steps"]
        evaluation = config["evaluation"]
        self.scored = when.evenly(self.steps, evaluation["points"])
        self.saved = when.every(self.steps, config["checkpoint_every"])
        self.kept = when.log_spaced(self.steps) if config["checkpoints"] == "log" else ()

    def execute(self) -> None:
        """Build, fit, evaluate, write the result."""
        self._tell(0, 0.0)
        net = build_net(self.config)
        self.params = sum(p.numel() for p in net.parameters())
        module = build_classifier(self.config, net)
        stops = when.slices(self.steps, LONGEST_SLICE, self.scored, self.saved, self.kept)
        data = build_data(self.config, stops)
        self._lap("build")
        checkpoint, problems = usable(self.folder.checkpoints)
        for problem in problems:
            print(
                problem, "- using", checkpoint.name if checkpoint else "no checkpoint: starting at step 0", flush=True
            )
        if checkpoint is None:
            self.origin = self.attempt
            self._tell(0, 0.0)
        rows = Rows(self.folder.metrics, self.attempt)
        with tracked(self.config, attempt=self.origin) as tracker:
            trainer = self._trainer(rows, tracker)
            self._lap("open")
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
            if trainer.interrupted:
                raise KeyboardInterrupt
            self._lap("fit")
            result = self._finish(trainer, module, data)
            tracker.finish(result)
        self._lap("close")
        rows.close()
        result["times"] = self.times
        self._keep_weights(net, data)
        write_json(self.folder.result, result)
        self._drop_checkpoints()
        facts = {"attempt": self.attempt, "origin": self.origin, "reason": result["outcome"]}
        write_status(self.folder, "ended", facts)

    def _trainer(self, rows: Rows, tracker: Tracker) -> pl.Trainer:
        config = self.config

        def write(row: Row) -> None:
            rows.write(row)
            tracker.log(row)

        extra = [construct(node, config["trust"]) for node in config["callbacks"].values()]
        self.progress = Progress(self._tell)
        own = [self.progress, Record(at=self.scored, score=self._score, write=write)]
        save = Save(self.folder.checkpoints, at=self.saved, keep=self.kept)
        return pl.Trainer(
            accelerator=config["trainer"]["accelerator"],
            devices=1,
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

    def _subset(self, data: ImageData) -> Part:
        """The fixed stratified training images of scheduled evaluations."""
        if self.subset is None:
            self.subset = self._choose(data)
        return self.subset

    def _choose(self, data: ImageData) -> Part:
        assert data.train is not None
        leave = len(data.train) - self.config["evaluation"]["subset"]
        if leave <= 0:
            return data.train
        kept, _ = stratified(data.train.labels.cpu().numpy(), leave, data._split_seed, "evaluation")
        self.subset_hash = hash_of(kept)
        return data.train.select(kept)

    def _measure(self, net: nn.Module, part: Part, data: ImageData) -> Score:
        precision = data.trainer.precision_plugin.forward_context  # type: ignore[union-attr]  # fit() has set it
        batch = self.config["evaluation"]["batch"]
        return evaluate(net, part.images, part.labels, normalise=data.normalisation, batch=batch, precision=precision)

    def _score(self, module: Classifier, data: ImageData) -> dict[str, Score]:
        scores = {"train": self._measure(module.net, self._subset(data), data)}
        if len(data.validation):
            scores["validation"] = self._measure(module.net, data.validation, data)
        return scores

    def _finish(self, trainer: pl.Trainer, module: Classifier, data: ImageData) -> dict[str, Any]:
        """Clean evaluation of the final weights; test data are read here and nowhere else."""
        assert data.train is not None
        net, bad = module.net, int(module.first_bad_step)
        scores: dict[str, Score] = {}
        if bad < 0:
            scores["train"] = self._measure(net, data.train, data)
            fresh = with_fresh_statistics(
                net,
                self._subset(data).images,
                normalise=data.normalisation,
                batch=self.config["recipe"]["batch"],
                precision=trainer.precision_plugin.forward_context,
            )
            scores["train_fresh_norm"] = self._measure(fresh, data.train, data)
            if len(data.validation):
                scores["validation"] = self._measure(net, data.validation, data)
            scores["test"] = self._measure(net, data.test(), data)
        self._lap("evaluate")
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
            "evaluation_subset": self.subset_hash,
            "weights": weights_hash(net),
            "images_per_second": round(self._rate(data), 2),
            "hardware": hardware(trainer),
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

    def _tell(self, step: int, rate: float) -> None:
        facts = {"attempt": self.attempt, "origin": self.origin, "step": step, "steps": self.steps}
        write_status(self.folder, "running", facts | {"rate": round(rate, 3)})

    def _lap(self, name: str) -> None:
        now = time.monotonic()
        self.times[name] = round(now - self.began - sum(self.times.values()), 4)


def as_record(score: Score) -> dict[str, float | int | None]:
    """A score as JSON can hold it: a cross-entropy that is not finite is null."""
    entropy = score.cross_entropy if math.isfinite(score.cross_entropy) else None
    return {"error": score.error, "errors": score.errors, "n": score.n, "cross_entropy": entropy}
