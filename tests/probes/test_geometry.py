"""Update geometry: angles known from geometry, a real step by hand, invariances, and what is not finite."""

import math

import pytest
import torch

from probes import slow
from reslab.probes.addresses import convolutions
from reslab.probes.geometry import at_start, equilibrium_angle, norms, update_geometry
from reslab.probes.signal import by_layer

RECIPE = {"lr": 0.1, "weight_decay": 1e-4, "momentum": 0.9}


def measured(before, after, gradient=None, *, initial=1.0, recipe=RECIPE):
    gradients = {"conv": torch.ones_like(before) if gradient is None else gradient}
    readings = update_geometry({"conv": before}, {"conv": after}, gradients, initial={"conv": initial}, **recipe)
    return {reading.statistic: reading.value for reading in readings}


@pytest.mark.parametrize("angle", [0.0, 1e-7, 1e-5, 3.24e-3, 0.5, math.pi / 2, 3.0, math.pi])
@pytest.mark.parametrize("longer", [1.0, 1e-3, 147.0])
def test_the_angle_of_a_turned_weight(angle, longer):
    before = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    after = before.clone()
    before.view(-1)[0], after.view(-1)[0], after.view(-1)[5] = 2.0, math.cos(angle), math.sin(angle)
    found = measured(before, longer * after)
    assert found["angle"] == pytest.approx(angle, rel=1e-6, abs=1e-12)
    assert found["weight_norm"] == pytest.approx(longer)
    assert found["angle_over_equilibrium"] == pytest.approx(angle / 3.2444e-3, rel=1e-3, abs=1e-9)


def test_equilibrium_of_he_2015():
    assert equilibrium_angle(**RECIPE) == pytest.approx(3.24e-3, rel=2e-3)  # science of D3
    assert equilibrium_angle(lr=0.1, weight_decay=0.0, momentum=0.9) == 0.0


def test_a_real_step_is_what_the_formulas_say():
    model, shown = slow.net("none-post-batch"), slow.batch()
    weights = convolutions(model)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    initial = norms(before)
    torch.nn.functional.cross_entropy(model(shown.images), shown.labels).backward()
    gradients = {name: weight.grad.clone() for name, weight in weights.items()}
    torch.optim.SGD(model.parameters(), **RECIPE).step()
    found = update_geometry(before, weights, gradients, initial=initial, **RECIPE)
    for name, old in before.items():
        w, g = old.double().flatten(), gradients[name].double().flatten()
        new = w - 0.1 * (g + 1e-4 * w)  # the first step of SGD with momentum
        cosine = (w @ new / w.norm() / new.norm()).item()
        one = {r.statistic: r.value for r in found if r.layer == name}
        assert one["angle"] == pytest.approx(math.acos(cosine), rel=1e-3)
        assert one["relative_gradient"] == pytest.approx((g.norm() / w.norm()).item(), rel=1e-6)
        assert one["norm_growth"] == pytest.approx((new.norm() / w.norm()).item(), rel=1e-6)
        # batch normalisation: the gradient stands upright on the weight, so a step can only lengthen it (but for decay)
        assert abs((w @ g).item()) < 1e-4 * (w.norm() * g.norm()).item()


@pytest.mark.parametrize("scale", [1e-2, 1.0, 300.0])
def test_lengths_do_not_matter_to_angles(scale):
    draw = torch.Generator().manual_seed(0)
    before, after = (torch.randn(4, 3, 3, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    assert measured(scale * before, after)["angle"] == pytest.approx(measured(before, after)["angle"], rel=1e-12)


def test_the_freeze_index_counts_those_that_hardly_turn():
    before = torch.tensor([[[[1.0, 0.0]]]], dtype=torch.float64)
    limit = 0.1 * equilibrium_angle(**RECIPE)
    turned = {n: torch.tensor([[[[1.0, math.tan(f * limit)]]]]).double() for n, f in enumerate((0.5, 0.9, 1.1, 20.0))}
    names = {str(n): after for n, after in turned.items()}
    old, ones = dict.fromkeys(names, before), dict.fromkeys(names, torch.ones(1))
    found = by_layer(update_geometry(old, names, ones, initial=dict.fromkeys(names, 1.0), **RECIPE), "freeze_index")
    assert found == {"trunk": 0.5}


def test_what_has_no_equilibrium_or_is_not_finite_is_said_so():
    weight = torch.ones(1, 1, 1, 2)
    undecayed = measured(weight, weight, recipe=RECIPE | {"weight_decay": 0.0})
    adam = measured(weight, weight, recipe=RECIPE | {"momentum": math.nan})
    for found in (undecayed, adam):
        assert math.isnan(found["freeze_index"])
        assert math.isnan(found["angle_over_equilibrium"])
    diverged = measured(weight, torch.full_like(weight, math.nan), torch.full_like(weight, math.inf))
    assert math.isnan(diverged["angle"])
    assert math.isnan(diverged["weight_norm"])
    assert diverged["freeze_index"] == 0.0
    assert math.isinf(diverged["gradient_norm"])
    assert update_geometry({}, {}, {}, initial={}, **RECIPE) == []


def test_at_the_start_nothing_has_grown():
    found = at_start(norms({"conv": torch.full((1, 1, 2, 2), 3.0)}))
    assert [(r.statistic, r.value) for r in found] == [("weight_norm", 6.0), ("norm_growth", 1.0)]
