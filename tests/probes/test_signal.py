"""Signal propagation against loops by hand, against finite differences, and under changes that must not matter."""

import math

import pytest
import torch
from torch.nn import functional as F

from probes import slow
from reslab import api
from reslab.probes.reading import ProbeBatch
from reslab.probes.signal import by_layer, signal_propagation, slope


@pytest.mark.parametrize("bn", ["train", "eval", "frozen"])
@pytest.mark.parametrize("name", slow.NETS)
def test_it_is_what_loops_by_hand_find(name, bn):
    model, shown = slow.net(name), slow.batch()
    found = {(r.layer, r.statistic): (r.value, r.error) for r in signal_propagation(model, shown, bn=bn)}
    chunks = slow.by_hand(model, shown, bn)
    for layer in chunks[0][0]:
        moments = [slow.channels(outputs[layer]) for outputs, _, _ in chunks]
        norms = [math.sqrt(sum(g * g for g in o[layer].grad.double().flatten().tolist())) for o, _, _ in chunks]
        slowly = {
            "variance": [m[0] for m in moments],
            "squared_mean": [m[1] for m in moments],
            "second_moment": [m[2] for m in moments],
            "gradient_norm": norms,
        }
        for statistic, values in slowly.items():
            assert found[layer, statistic] == pytest.approx(slow.mean_and_error(values), rel=1e-4, abs=1e-12)
    for layer in chunks[0][2]:
        values = [weights[layer].double().square().sum().sqrt().item() for _, _, weights in chunks]
        assert found[layer, "weight_gradient_norm"] == pytest.approx(slow.mean_and_error(values), rel=1e-4, abs=1e-12)
    first, last = ([o[unit].grad.norm().item() for o, _, _ in chunks] for unit in ("trunk.0.0", "trunk.2.0"))
    ratio = sum(a / b for a, b in zip(first, last, strict=True)) / len(first)
    assert found["trunk", "gradient_ratio"][0] == pytest.approx(ratio, rel=1e-4)


def test_a_gradient_norm_is_what_finite_differences_give():
    model = slow.net("identity-pre-absent").double()
    shown = slow.batch(n=4, chunk=4)
    images, labels = shown.images.double(), shown.labels
    exact = by_layer(signal_propagation(model.float(), shown, bn="eval"), "weight_gradient_norm")["stem.conv1"]
    weight, step, total = model.double().stem.conv1.weight, 1e-7, 0.0
    with torch.no_grad():
        for at in range(weight.numel()):
            losses = []
            for sign in (1, -1):
                weight.view(-1)[at] += sign * step
                losses.append(F.cross_entropy(model(images), labels).item())
                weight.view(-1)[at] -= sign * step
            total += ((losses[0] - losses[1]) / (2 * step)) ** 2
    assert math.sqrt(total) == pytest.approx(exact, rel=1e-4)


def test_growth_is_the_slope_per_weighted_layer():
    assert slope([3.0 * 1.5**n for n in (2, 4, 6, 8)], [2, 2, 2, 2]) == pytest.approx(math.log(1.5))
    assert slope([7.0 * 0.9**n for n in (3, 6, 9)], [3, 3, 3]) == pytest.approx(math.log(0.9))
    assert math.isnan(slope([1.0, 0.0, 2.0], [2, 2, 2]))
    assert math.isnan(slope([1.0, math.inf, 2.0], [2, 2, 2]))
    assert math.isnan(slope([1.0, math.nan], [2, 2]))


def test_a_plain_net_explodes_towards_its_input_and_a_residual_one_hardly():
    shown = slow.batch(n=64, chunk=64)
    plain, residual = (
        {
            (r.layer, r.statistic): r.value
            for r in signal_propagation(api.net("depth=44", "width=8", f"shortcut={name}"), shown, bn="train")
        }
        for name in ("none", "identity")
    )
    assert 1.3 < plain["trunk.0", "backward_growth"] < 1.6  # pi / (pi - 1) = 1.467 in a wide, fully connected net
    assert plain["trunk", "gradient_ratio"] > 100 > residual["trunk", "gradient_ratio"] > 1
    assert plain["trunk", "depth_scale"] < residual["trunk", "depth_scale"]


def test_scaling_a_normalised_weight_changes_no_signal_and_divides_its_gradient():
    model, shown = slow.net("none-post-batch"), slow.batch()
    before = signal_propagation(model, shown, bn="train")
    name, times = "trunk.1.0.branch.conv1", 8.0
    with torch.no_grad():
        model.get_submodule(name).weight.mul_(times)
    after = signal_propagation(model, shown, bn="train")
    for old, new in zip(before, after, strict=True):
        factor = 1 / times if (new.layer, new.statistic) == (name, "weight_gradient_norm") else 1.0
        assert new.value == pytest.approx(factor * old.value, rel=5e-3), (new.layer, new.statistic)


def test_what_is_not_finite_is_measured_without_a_crash():
    model = slow.net("none-post-batch")
    with torch.no_grad():
        model.trunk[1][0].branch.conv1.weight.fill_(math.nan)
    found = {(r.layer, r.statistic): r.value for r in signal_propagation(model, slow.batch(), bn="train")}
    assert math.isfinite(found["trunk.0.0", "second_moment"])
    assert math.isnan(found["trunk.1.0", "second_moment"])
    assert math.isnan(found["trunk", "gradient_ratio"])


def test_one_chunk_has_no_standard_error_and_a_last_short_one_is_left_out():
    model, shown = slow.net("none-post-batch"), slow.batch(n=20, chunk=8)
    whole = ProbeBatch(shown.images[:16], shown.labels[:16], 8)
    assert signal_propagation(model, shown, bn="train") == signal_propagation(model, whole, bn="train")
    few = ProbeBatch(shown.images[:5], shown.labels[:5], 8)
    assert {reading.error for reading in signal_propagation(model, few, bn="train")} == {None}


def test_a_net_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="Sequential has no trunk of stages of units"):
        signal_propagation(torch.nn.Sequential(torch.nn.Flatten()), slow.batch(), bn="train")
