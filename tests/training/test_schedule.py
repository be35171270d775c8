"""The learning rate: He 2015's sequence, the limits of one cycle."""

import itertools
import math

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from reslab.launch.paths import conf_folder
from reslab.launch.worker import build_classifier
from reslab.training.schedule import constant, factor, milestones, one_cycle


def rates(name, depth, **changes):
    """The rate of a recipe in conf/ as a run would have it; what launch.freeze does to the warm-up is done here."""
    recipe = OmegaConf.load(conf_folder() / "recipe" / f"{name}.yaml")
    for parent in recipe.pop("defaults", []):
        recipe = OmegaConf.merge(OmegaConf.load(conf_folder() / "recipe" / f"{parent}.yaml"), recipe)
    recipe = OmegaConf.to_container(recipe, resolve=True) | changes
    if depth < recipe["warmup"]["from_depth"]:
        recipe["warmup"]["steps"] = 0
    config = {"recipe": recipe, "trust": [], "seeds": {"augment": 0}, "intervention": {}}
    return build_classifier(config, nn.Linear(2, 2)).lr


@pytest.mark.parametrize(
    ("depth", "step", "lr"),
    [
        *((110, step, 0.01) for step in (0, 1, 399)),
        *((56, step, 0.1) for step in (0, 1, 399)),
        *((depth, step, 0.1) for depth in (56, 110) for step in (400, 31999)),
        *((depth, step, 0.01) for depth in (56, 110) for step in (32000, 47999)),
        *((depth, step, 0.001) for depth in (56, 110) for step in (48000, 63999)),
    ],
)
def test_he2015(depth, step, lr):
    found = rates("he2015", depth)(step)
    assert found == pytest.approx(lr, rel=1e-12)
    assert type(found) is float


@pytest.mark.parametrize(("depth", "step", "lr"), [(20, 0, 0.01), (20, 399, 0.01), (20, 400, 0.1), (20, 63999, 0.001)])
def test_he2016_warms_up_at_every_depth(depth, step, lr):
    assert rates("he2016", depth)(step) == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize(
    ("epoch", "lr"), [(0, 1e-3), (80, 1e-3), (81, 1e-4), (121, 1e-5), (161, 1e-6), (181, 5e-7), (199, 5e-7)]
)
def test_keras_drops_at_the_first_step_of_its_epochs(epoch, lr):
    rate = rates("keras", 20)
    assert rate(epoch * 1562) == pytest.approx(lr, rel=1e-12)
    assert rate((epoch + 1) * 1562 - 1) == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize("name", ["he2015", "he2016", "keras", "short", "digits"])
def test_every_rate_is_a_python_float_between_nothing_and_the_base(name):
    """A NumPy number in an optimiser's state could not be loaded from a checkpoint with weights_only."""
    recipe = OmegaConf.load(conf_folder() / "recipe" / f"{name}.yaml")
    steps, base = recipe.get("steps", 64000), recipe.get("lr", 0.1)
    rate = rates(name, 1202)
    for step in sorted({0, 1, steps // 3, steps // 2, steps - 1}):
        assert type(rate(step)) is float
        assert 0 < rate(step) <= base * (1 + 1e-12)


def test_one_cycle_limits():
    shape = {"peak": 0.3, "start": 0.1}
    assert one_cycle(0, 1000, **shape) == 0.1
    assert one_cycle(300, 1000, **shape) == 1.0
    assert one_cycle(150, 1000, **shape) == pytest.approx(0.55)
    assert one_cycle(650, 1000, **shape) == pytest.approx(0.5)
    assert one_cycle(1000, 1000, **shape) == pytest.approx(0.0, abs=1e-12)
    assert 0 < one_cycle(999, 1000, **shape) < 1e-5


@pytest.mark.parametrize(("peak", "start", "steps"), [(0.3, 0.1, 1000), (0.5, 0.0, 7), (0.0, 1.0, 50), (0.9, 0.5, 11)])
def test_one_cycle_rises_then_falls(peak, start, steps):
    values = [one_cycle(step, steps, peak=peak, start=start) for step in range(steps + 1)]
    top = math.ceil(peak * steps)
    assert all(a < b for a, b in itertools.pairwise(values[:top]))
    assert all(a > b for a, b in itertools.pairwise(values[top:]))
    assert max(values) == max(values[max(top - 1, 0) : top + 1])
    assert all(type(value) is float for value in values)


@pytest.mark.parametrize(("peak", "steps"), [(1.0, 10), (0.0, 1), (0.3, 1), (1.0, 1)])
def test_one_cycle_at_its_edges_divides_by_nothing(peak, steps):
    for step in range(steps + 1):
        assert 0 <= one_cycle(step, steps, peak=peak, start=0.1) <= 1


def test_one_cycle_is_that_of_torch_after_its_peak():
    """The cosine against torch's annealing."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=70)
    for step in range(30, 100):
        assert one_cycle(step, 100, peak=0.3, start=0.1) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-9)
        optimiser.step()
        theirs.step()


def test_milestones_are_those_of_torch():
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimiser, [50, 75], gamma=0.1)
    for step in range(100):
        ours = milestones(step, 100, at=[0.5, 0.75], factors=[0.1, 0.01])
        assert ours == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()


def test_a_budget_that_is_no_multiple_drops_at_the_first_step_past_the_share():
    values = [milestones(step, 5, at=[0.5], factors=[0.1]) for step in range(5)]
    assert values == [1.0, 1.0, 1.0, 0.1, 0.1]


def test_milestones_refuse_lists_of_different_length():
    with pytest.raises(ValueError, match="shorter"):
        milestones(99, 100, at=[0.5, 0.75], factors=[0.1])


def test_warmup_replaces_the_shape():
    def rate(step, warmup):
        return factor(step, steps=10, shape=constant, warmup=warmup, warmup_factor=0.1)

    assert [rate(step, 3) for step in range(5)] == [0.1, 0.1, 0.1, 1.0, 1.0]
    assert [rate(step, 0) for step in range(3)] == [1.0, 1.0, 1.0]
