"""Directions against a loop over filters; what moves and what does not; a net that BatchNorm makes blind to length."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from probes import slow
from reslab.probes import slices
from reslab.probes.slices import direction, filter_norms, moved, places

LAST = "head.linear.weight"
NAMES = ["none-post-batch", "identity-pre-batch", "projection_all-post-absent"]


@pytest.mark.parametrize("name", NAMES)
def test_every_filter_is_as_long_as_the_nets_own(name):
    net = slow.net(name)
    found = direction(net, seed=0, draw=0)
    assert list(found) == [name for name, _ in net.named_parameters()]
    for module_name, module in net.named_modules():
        own = {key: found[f"{module_name}.{key}"] for key, _ in module.named_parameters(recurse=False)}
        if isinstance(module, nn.Conv2d | nn.Linear):
            for step, weight in zip(own["weight"], module.weight, strict=True):
                assert step.norm().item() == pytest.approx(weight.norm().item(), rel=1e-6)
                assert abs(F.cosine_similarity(step.flatten(), weight.detach().flatten(), dim=0)) < 0.99
        elif own:
            assert all((step == 0).all() for step in own.values())
        if "bias" in own:
            assert (own["bias"] == 0).all()


def test_a_filter_of_zeros_stays_where_it_is():
    net = slow.net("none-post-batch")
    with torch.no_grad():
        net.stem.conv1.weight[1] = 0
    found = direction(net, seed=0, draw=0)["stem.conv1.weight"]
    assert (found[1] == 0).all()
    assert (found[0] != 0).all()


def test_draws_differ_are_repeated_and_are_the_same_for_matched_nets():
    plain, residual = slow.net("none-post-batch"), slow.net("identity-post-batch")
    one, other = direction(plain, seed=0, draw=0), direction(residual, seed=0, draw=0)
    assert all(torch.equal(one[name], other[name]) for name in one)  # their weights at the start are the same, too
    assert all(torch.equal(one[name], step) for name, step in direction(plain, seed=0, draw=0).items())
    for seed, draw in ((0, 1), (1, 0)):
        further = direction(plain, seed=seed, draw=draw)
        cosine = F.cosine_similarity(one[LAST].flatten(), further[LAST].flatten(), dim=0)
        assert abs(cosine) < 0.5


def test_gaussian_within_a_filter():
    net = nn.Conv2d(64, 64, 3)
    found = direction(net, seed=0, draw=0)["weight"]
    unit = (found / filter_norms(net.weight.detach()) * math.sqrt(found[0].numel())).flatten()
    assert unit.square().mean().item() == pytest.approx(1, abs=1e-5)
    assert unit.mean().item() == pytest.approx(0, abs=0.02)
    assert unit.pow(4).mean().item() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_move_adds_and_leaves_the_net_alone(name):
    net = slow.net(name).train()
    before = copy.deepcopy(net.state_dict())
    along = direction(net, seed=0, draw=0)
    there = moved(net, along, -0.25)
    assert not there.training
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    for key, weight in there.named_parameters():
        torch.testing.assert_close(weight.detach(), before[key] - 0.25 * along[key])
    assert all(torch.equal(value, before[key]) for key, value in there.named_buffers())
    stays = moved(net, along, 0.0)
    assert all(torch.equal(value, before[key]) for key, value in stays.state_dict().items())


def test_the_slice_of_a_linear_net_is_a_line():
    net = nn.Linear(5, 3)
    shares, along = places(5), direction(net, seed=0, draw=0)
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    found = slices.line(net, along, shares, lambda there: there(x).sum().item())
    slope = (x @ along["weight"].T).sum().item()
    assert found == pytest.approx([net(x).sum().item() + a * slope for a in shares], rel=1e-4)


def test_places():
    assert places(51)[25] == 0.0
    assert places(51)[0] == -1.0
    assert [-a for a in reversed(places(51))] == places(51)
    with pytest.raises(ValueError, match="use points=51"):
        places(50)
    with pytest.raises(ValueError, match="use points=3"):
        places(1)
