"""Wrapped steps against loops by hand, bit for bit or nearly, and the invariants that they are for."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reslab.training.interventions import layer_rate_balance, norm_projection
from reslab.training.steps import train_steps

RATE = 0.3


def net():
    torch.manual_seed(1)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64, 3)),
    )


def batches(steps, start=0):
    for step in range(start, start + steps):
        draw = torch.Generator().manual_seed(step)
        yield step, torch.randn(8, 1, 4, 4, generator=draw), torch.randint(0, 3, (8,), generator=draw)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=99.0, momentum=0.9, weight_decay=1e-2)


def trained(model, update, steps=3, start=0, optimiser=None):
    train_steps(
        model, optimiser or sgd(model), batches(steps, start), lr=lambda _: RATE, seed=0, first_bad=torch.tensor(-1),
        update=update,
    )  # fmt: skip
    return model


def by_hand(model, *, project=0, balance=0, trust=None, steps=3):
    """SGD with momentum 0.9 and decay 1e-2 written out; `project` and `balance` are numbers of first steps."""
    parameters = list(model.parameters())
    is_conv = [p.ndim == 4 for p in parameters]
    initial = [math.sqrt(float((p.detach() ** 2).sum())) for p in parameters]
    momentum = [torch.zeros_like(p) for p in parameters]
    for step, images, labels in batches(steps):
        loss = F.cross_entropy(model(images), labels)
        gradients = torch.autograd.grad(loss, parameters)
        for at, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            if is_conv[at] and step < balance:
                g = g / math.sqrt(float((g**2).sum())) * trust * math.sqrt(float((p.detach() ** 2).sum()))
            momentum[at] = 0.9 * momentum[at] + g + 1e-2 * p.detach()
            p.data = p.data - RATE * momentum[at]
            if is_conv[at] and step < project:
                p.data = p.data * initial[at] / math.sqrt(float((p.data**2).sum()))
    return model


def assert_close(mine, theirs):
    for name, value in theirs.state_dict().items():
        assert torch.allclose(mine.state_dict()[name], value, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("until", [None, 0, 2, 3])
def test_norm_projection_by_hand(until):
    model = net()
    other = by_hand(copy.deepcopy(model), project=99 if until is None else until)
    assert_close(trained(model, norm_projection(model, until=until)), other)


@pytest.mark.parametrize("until", [None, 0, 2, 3])
def test_layer_rate_balance_by_hand(until):
    model = net()
    other = by_hand(copy.deepcopy(model), balance=99 if until is None else until, trust=0.02)
    assert_close(trained(model, layer_rate_balance(model, until=until, trust=0.02)), other)


def norms(model):
    return [float(p.detach().norm()) for p in model.parameters() if p.ndim == 4]


def test_norms_stay_and_would_not_without():
    model = net()
    before = norms(model)
    after = norms(trained(model, norm_projection(model, until=None), steps=10))
    assert after == pytest.approx(before, rel=1e-6)
    assert norms(trained(net(), lambda step, update: update(), steps=10)) != pytest.approx(before, rel=1e-2)


def test_relative_gradients_are_equal_in_every_convolution():
    model, seen = net(), []
    balance = layer_rate_balance(model, until=None, trust=0.02)
    others = [p for p in model.parameters() if p.ndim != 4]

    def watched(step, update):
        kept = [p.grad.clone() for p in others]

        def looked():
            seen.extend(float(p.grad.norm() / p.detach().norm()) for p in model.parameters() if p.ndim == 4)
            assert all(torch.equal(p.grad, old) for p, old in zip(others, kept, strict=True))
            update()

        balance(step, looked)

    trained(model, watched, steps=4)
    assert seen == pytest.approx([0.02] * 8, rel=1e-5)


@pytest.mark.parametrize("make", [norm_projection, layer_rate_balance])
def test_nothing_happens_to_nothing(make):
    """A gradient or a weight of norm 0 stays 0, and a convolution without a gradient is passed over."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1))
    model[0].weight.data.zero_()
    model[0].weight.grad = torch.zeros_like(model[0].weight)
    settings = {"trust": 0.1} if make is layer_rate_balance else {}
    make(model, until=None, **settings)(0, lambda: None)
    assert float(model[0].weight.detach().abs().sum() + model[0].weight.grad.abs().sum()) == 0


@pytest.mark.parametrize("make", [norm_projection, lambda m, until: layer_rate_balance(m, until=until, trust=0.02)])
def test_a_resumed_run_goes_on_bit_for_bit(make):
    model = net()
    whole = trained(model, make(model, until=4), steps=6)
    first = net()
    optimiser = sgd(first)
    trained(first, make(first, until=4), steps=3, optimiser=optimiser)
    again = net()
    update = make(again, until=4)  # from the initial net, as build_classifier does
    again.load_state_dict(first.state_dict())
    resumed = sgd(again)
    resumed.load_state_dict(optimiser.state_dict())
    trained(again, update, steps=3, start=3, optimiser=resumed)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in whole.state_dict().items())


def test_without_an_intervention_the_step_is_the_optimisers():
    one, other = net(), net()
    trained(one, lambda step, update: update())
    train_steps(other, sgd(other), batches(3), lr=lambda _: RATE, seed=0, first_bad=torch.tensor(-1))
    assert all(torch.equal(one.state_dict()[name], value) for name, value in other.state_dict().items())


@pytest.mark.parametrize("make", [norm_projection, lambda m, until: layer_rate_balance(m, until=until, trust=0.02)])
def test_the_host_never_looks_at_the_device(make):
    from training.test_steps import NoLook

    model = net()
    update, optimiser, given = make(model, until=None), sgd(model), list(batches(3))
    with NoLook():
        train_steps(
            model, optimiser, given, lr=lambda _: RATE, seed=0, first_bad=torch.tensor(-1), update=update
        )  # fmt: skip
