"""Parameter groups: each parameter in exactly one, decayed if its kind is listed."""

import pytest
import torch
from torch import nn

from reslab.specs import PARAMETER_KINDS as KINDS
from reslab.training.optimise import adam, groups, kind, sgd


class Odd(nn.Module):
    """A parameter of no known layer, called `bias` at that."""

    def __init__(self):
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))


NET = nn.Sequential(
    nn.Conv2d(3, 4, 3),
    nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1, bias=False), nn.GroupNorm(2, 4)),
    nn.BatchNorm2d(4, affine=False),
    nn.PReLU(),
    Odd(),
    nn.Linear(4, 2),
)
OF_KIND = {
    "conv": {"0.weight", "1.1.weight"},
    "linear": {"5.weight"},
    "norm": {"1.0.weight", "1.0.bias", "1.2.weight", "1.2.bias", "3.weight", "4.scale", "4.bias"},
    "bias": {"0.bias", "5.bias"},
}
NAMES = {id(parameter): name for name, parameter in NET.named_parameters()}


def decayed(decay):
    made = groups(NET, weight_decay=0.1, decay=decay)
    return {NAMES[id(p)] for group in made if group["weight_decay"] for p in group["params"]}


def test_kinds():
    assert set(OF_KIND) == set(KINDS)
    assert sorted(name for names in OF_KIND.values() for name in names) == sorted(NAMES.values())
    for module in NET.modules():
        for name, parameter in module.named_parameters(recurse=False):
            assert NAMES[id(parameter)] in OF_KIND[kind(module, name)]


@pytest.mark.parametrize("number", range(16))
def test_each_parameter_is_in_exactly_one_group_and_only_listed_kinds_decay(number):
    decay = [name for bit, name in enumerate(KINDS) if number >> bit & 1]
    made = groups(NET, weight_decay=0.1, decay=decay)
    ids = [id(p) for group in made for p in group["params"]]
    assert len(ids) == len(set(ids))
    assert set(ids) == set(NAMES)
    assert {group["weight_decay"] for group in made} <= {0.1, 0.0}
    assert decayed(decay) == {name for listed in decay for name in OF_KIND[listed]}


def test_no_empty_group():
    assert len(groups(NET, weight_decay=0.1, decay=KINDS)) == 1
    assert len(groups(NET, weight_decay=0.1, decay=[])) == 1
    assert all(group["params"] for group in groups(NET, weight_decay=0.1, decay=["conv"]))


def test_a_shared_layer_counts_once():
    layer = nn.Linear(2, 2)
    made = groups(nn.ModuleList([layer, nn.Sequential(layer)]), weight_decay=0.1, decay=["linear"])
    assert [len(group["params"]) for group in made] == [1, 1]


def test_sgd_and_adam_get_what_the_recipe_says():
    made = groups(NET, weight_decay=0.1, decay=["conv"])
    one = sgd(made, lr=0.5, momentum=0.9, nesterov=True)
    assert isinstance(one, torch.optim.SGD)
    assert [(g["lr"], g["momentum"], g["nesterov"], g["dampening"]) for g in one.param_groups] == [
        (0.5, 0.9, True, 0)
    ] * 2
    assert [g["weight_decay"] for g in one.param_groups] == [0.1, 0.0]
    other = adam(groups(NET, weight_decay=0.1, decay=["conv"]), lr=0.1, betas=[0.8, 0.9], eps=1e-7)
    assert isinstance(other, torch.optim.Adam)
    assert [(g["lr"], g["betas"], g["eps"]) for g in other.param_groups] == [(0.1, (0.8, 0.9), 1e-7)] * 2
    assert [g["weight_decay"] for g in other.param_groups] == [0.1, 0.0]


@pytest.mark.parametrize("make", ["sgd", "adam"])
def test_decay_is_added_to_the_gradient(make):
    """One step with no gradient but the decay: SGD moves by lr * decay * w, Adam (coupled) by about lr."""
    net = nn.Linear(1, 1)
    nn.init.constant_(net.weight, 2.0)
    made = groups(net, weight_decay=0.5, decay=["linear"])
    if make == "sgd":
        optimiser, expected = sgd(made, lr=0.1, momentum=0.0, nesterov=False), 2 - 0.1 * 0.5 * 2
    else:
        optimiser, expected = adam(made, lr=0.1, betas=[0.9, 0.999], eps=1e-12), 2 - 0.1
    bias = net.bias.item()
    net.weight.grad, net.bias.grad = torch.zeros_like(net.weight), torch.zeros_like(net.bias)
    optimiser.step()
    assert net.weight.item() == pytest.approx(expected)
    assert net.bias.item() == bias


@pytest.mark.parametrize("nesterov", [False, True])
def test_all_parameters_in_one_call_are_the_same_bits_as_one_by_one(nesterov):
    def trained(make):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
        optimiser = make(groups(net, weight_decay=0.1, decay=["conv"]))
        for _ in range(20):
            optimiser.zero_grad()
            net(torch.randn(5, 3, 8, 8)).square().sum().backward()
            optimiser.step()
        return torch.cat([p.flatten() for p in net.parameters()])

    ours = trained(lambda found: sgd(found, lr=1e-3, momentum=0.9, nesterov=nesterov))
    settings = {"lr": 1e-3, "momentum": 0.9, "nesterov": nesterov, "foreach": False}
    assert torch.equal(ours, trained(lambda found: torch.optim.SGD(found, **settings)))
