"""What a run measures of its net: scheduled scores on fixed images, and everything at the end. All ranks take part."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import nn

from reslab import world
from reslab.data.arrays import hash_of
from reslab.data.module import ImageData, Part
from reslab.data.split import some
from reslab.launch.evidence import weights_hash
from reslab.training.classifier import Classifier
from reslab.training.evaluate import Score, evaluate, with_fresh_statistics


class Measure:
    """Clean scores of one run, at its precision."""

    def __init__(self, config: Mapping[str, Any], beat: Callable[[], object]) -> None:
        """Nothing is chosen yet: the data are not there. `beat` is called while something takes long."""
        self._config, self._beat = config, beat
        self._subset: Part | None = None
        self._last: tuple[str, dict[str, Score]] = ("", {})
        self.subset_hash: str | None = None

    def scheduled(self, module: Classifier, data: ImageData) -> dict[str, Score]:
        """Scores while training: the fixed stratified training images, and validation if there is any."""
        scores = {"train": self._score(module.net, self._chosen(data), data)}
        if len(data.validation):
            scores["validation"] = self._score(module.net, data.validation, data)
        if world.size() == 1 and _trainer(data).global_step == self._config["recipe"]["steps"]:
            self._last = weights_hash(module.net), scores
        return scores

    def final(self, net: nn.Module, data: ImageData) -> dict[str, Score]:
        """Scores of the final weights; test data are read here and nowhere else.

        What the last row has of the same images and the same weights is not measured again.
        """
        assert data.train is not None
        weights, known = self._last
        known = known if weights and weights == weights_hash(net) else {}
        whole = self._chosen(data) is data.train
        scores = {"train": known["train"] if known and whole else self._score(net, data.train, data)}
        fresh = with_fresh_statistics(
            net,
            self._chosen(data).images,
            normalise=data.normalisation,
            batch=self._config["recipe"]["batch"],
            precision=_trainer(data).precision_plugin.forward_context,
            beat=self._beat,
        )
        scores["train_fresh_norm"] = self._score(fresh, data.train, data)
        if len(data.validation):
            scores["validation"] = known.get("validation") or self._score(net, data.validation, data)
        scores["test"] = self._score(net, data.test(), data)
        return scores

    def _chosen(self, data: ImageData) -> Part:
        if self._subset is None:
            self._subset = self._choose(data)
        return self._subset

    def _choose(self, data: ImageData) -> Part:
        assert data.train is not None
        subset = self._config["evaluation"]["subset"]
        if subset >= len(data.train):
            return data.train
        kept = some(data.train.labels.cpu().numpy(), subset, self._config["data"]["split_seed"], "evaluation")
        self.subset_hash = hash_of(kept)
        return data.train.select(kept)

    def _score(self, net: nn.Module, part: Part, data: ImageData) -> Score:
        world.copy_from_first(net.buffers())  # norms that each rank feeds by itself: those of rank 0 are the run's
        precision = _trainer(data).precision_plugin.forward_context
        batch = self._config["evaluation"]["batch"]
        settings = {"normalise": data.normalisation, "batch": batch, "precision": precision, "beat": self._beat}
        return evaluate(net, part.images, part.labels, **settings)


def _trainer(data: ImageData) -> pl.Trainer:
    assert data.trainer is not None, "fit() sets it"
    return data.trainer


def as_record(score: Score) -> dict[str, float | int | None]:
    """A score as JSON can hold it: a cross-entropy that is not finite is null."""
    entropy = score.cross_entropy if math.isfinite(score.cross_entropy) else None
    return {"error": score.error, "errors": score.errors, "n": score.n, "cross_entropy": entropy}
