"""Final scores: what the last row has of the same weights is taken over, and anything else is measured anew."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import nn

from reslab.data.arrays import Arrays
from reslab.data.module import ImageData
from reslab.data.normalise import pixel_mean
from reslab.data.plan import Plan
from reslab.launch import measure
from reslab.launch.measure import Measure
from reslab.training.classifier import Classifier
from reslab.training.optimise import sgd

STEPS, SIZES = 12, {"train": 30, "test": 7}
FINAL = ["train", "train_fresh_norm", "validation", "test"]


def images(part: str) -> Arrays:
    rng, n = np.random.default_rng(len(part)), SIZES[part]
    return Arrays(rng.integers(0, 256, (n, 1, 4, 4)).astype(np.uint8), np.arange(n) % 3)


@pytest.fixture
def data(monkeypatch) -> ImageData:
    """10 of 30 images are held out; the trainer stands at the end of the budget."""
    plan = {"batch": 5, "pad": 0, "flip": False, "order_seed": 1, "augment_seed": 1}
    made = ImageData(
        read=images,
        held_out=10,
        split_seed=0,
        normalise=pixel_mean,
        plan=lambda rows: Plan(rows=rows, **plan),
        stops=(STEPS,),
    )
    made.setup()
    monkeypatch.setattr(pl.Trainer, "global_step", STEPS)
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    made.trainer = pl.Trainer(**silent, accelerator="cpu", plugins=[LightningEnvironment()])
    return made


@pytest.fixture
def module() -> Classifier:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    return Classifier(net, optimiser=lambda n: sgd([], lr=0.1, momentum=0.0, nesterov=False), lr=lambda s: 0.1, seed=0)


@pytest.fixture
def scored(monkeypatch) -> list[int]:
    """The number of images of each evaluation."""
    sizes: list[int] = []
    plain = measure.evaluate

    def counted(net, images, labels, **settings):
        sizes.append(len(labels))
        return plain(net, images, labels, **settings)

    monkeypatch.setattr(measure, "evaluate", counted)
    return sizes


def made(subset: int) -> Measure:
    config = {
        "evaluation": {"subset": subset, "batch": 8},
        "recipe": {"steps": STEPS, "batch": 5},
        "data": {"validation": 10, "split_seed": 0},
    }
    return Measure(config, lambda: None)


@pytest.mark.parametrize(("subset", "again"), [(5000, [20, 7]), (10, [20, 20, 7])])
def test_the_last_row_is_not_measured_again(data, module, scored, subset, again):
    """Training images only where the row has all of them; the numbers are those that a measurement gives."""
    one = made(subset)
    row = one.scheduled(module, data)
    scored.clear()
    found = one.final(module.net, data)
    assert scored == again
    assert list(found) == FINAL
    assert found["validation"] is row["validation"]
    assert found == made(subset).final(module.net, data)


def test_other_weights_are_measured(data, module, scored):
    """As a callback of a user's own leaves them, which averages weights at the end."""
    one = made(5000)
    row = one.scheduled(module, data)
    with torch.no_grad():
        module.net[0].weight.data *= -1  # past autograd's count of changes
    scored.clear()
    found = one.final(module.net, data)
    assert scored == [20, 20, 10, 7]
    assert found["train"] != row["train"]
    assert found == made(5000).final(module.net, data)


def test_a_row_of_an_earlier_step_is_not_the_last(data, module, scored, monkeypatch):
    monkeypatch.setattr(pl.Trainer, "global_step", STEPS - 1)
    one = made(5000)
    one.scheduled(module, data)
    scored.clear()
    one.final(module.net, data)
    assert scored == [20, 20, 10, 7]
