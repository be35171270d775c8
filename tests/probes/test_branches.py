"""Branch against shortcut, and layer responses, against loops by hand."""

import math

import pytest
import torch

from probes import slow
from reslab import api
from reslab.probes.branches import branch_ratio
from reslab.probes.signal import by_layer


@pytest.mark.parametrize("bn", ["train", "eval", "frozen"])
@pytest.mark.parametrize("name", slow.NETS)
def test_ratios_are_what_loops_by_hand_find(name, bn):
    model, shown = slow.net(name), slow.batch()
    found = {(r.layer, r.statistic): (r.value, r.error) for r in branch_ratio(model, shown, bn=bn)}
    chunks = slow.by_hand(model, shown, bn)
    for unit in chunks[0][1]:
        moments = [[slow.channels(path) for path in paths[unit]] for _, paths, _ in chunks]
        for statistic, at in (("variance_ratio", 0), ("second_moment_ratio", 2)):
            values = [branch[at] / around[at] for branch, around in moments]
            assert found[unit, statistic] == pytest.approx(slow.mean_and_error(values), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("order", ["post", "pre"])
def test_a_response_is_taken_after_the_norm_and_before_anything_else(order):
    model, shown = slow.net(f"identity-{order}-batch"), slow.batch(n=8, chunk=8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    found = by_layer(branch_ratio(model, shown, bn="train"), "response_std")
    unit, x = model.trunk[0][0], model.train().stem(shown.images)
    branch = unit.branch
    first = branch.conv1(unit.before(x))
    first = branch.norm1(first)  # in both orders it is followed by a norm
    second = branch.conv2(branch.act1(first))
    second = branch.norm2(second) if order == "post" else second
    assert found["trunk.0.0.branch.conv1"] == pytest.approx(first.std(correction=0).item(), rel=1e-5)
    assert found["trunk.0.0.branch.conv2"] == pytest.approx(second.std(correction=0).item(), rel=1e-5)


def test_at_initialisation_every_normalised_response_is_one():
    shown = slow.batch(n=64, chunk=64)
    found = by_layer(branch_ratio(api.net("depth=20", "width=8"), shown, bn="train"), "response_std")
    assert len(found) == 19
    assert max(abs(value - 1) for value in found.values()) < 1e-4


def test_the_branch_counts_for_less_the_deeper_the_unit_lies():
    words = ("depth=44", "width=8", "order=pre", "shortcut=identity")
    ratios = by_layer(branch_ratio(api.net(*words), slow.batch(n=64, chunk=64), bn="train"), "second_moment_ratio")
    first = [value for layer, value in ratios.items() if layer.startswith("trunk.0.")]
    assert first[0] > 2 * first[3] > 3 * first[6] * 0.8


def test_what_is_not_finite_or_zero_is_measured_without_a_crash():
    model = slow.net("none-post-absent")
    with torch.no_grad():
        model.stem.conv1.weight.zero_()
    found = by_layer(branch_ratio(model, slow.batch(), bn="train"), "variance_ratio")
    assert math.isnan(found["trunk.0.0"])
