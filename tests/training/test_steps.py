"""Training steps against an obvious loop in plain torch, bit for bit."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from reslab import streams
from reslab.training.classifier import Classifier
from reslab.training.steps import train_steps


def net(dropout=0.0):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 3)
    )


def made(steps, start=0, size=5):
    """Batches as a slice of the plan yields them; each is a function of its step."""
    for step in range(start, start + steps):
        draw = torch.Generator().manual_seed(step)
        yield step, torch.randn(size, 1, 4, 4, generator=draw), torch.randint(0, 3, (size,), generator=draw)


def lr(step):
    return 0.1 / (1 + step)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=99.0, momentum=0.9, weight_decay=1e-2)


def state(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def bad_at():
    return torch.tensor(-1)


def slow(model, batches):
    optimiser = sgd(model)
    loss_sum, errors, seen = torch.tensor(0.0), 0, 0
    for step, images, labels in batches:
        optimiser.param_groups[0]["lr"] = lr(step)
        out = model(images)
        loss = F.cross_entropy(out, labels)
        model.zero_grad()
        loss.backward()
        optimiser.step()
        loss_sum += loss.detach() * len(labels)
        errors += int((out.argmax(1) != labels).sum())
        seen += len(labels)
    return loss_sum, errors, seen


def test_weights_buffers_and_totals_equal_those_of_a_plain_loop():
    ours = net()
    theirs = copy.deepcopy(ours)
    before = state(ours)
    totals = train_steps(ours, sgd(ours), made(12), lr=lr, seed=0, first_bad=bad_at())
    loss, errors, seen = slow(theirs, made(12))
    assert torch.equal(state(ours), state(theirs))
    assert not torch.equal(state(ours), before)
    assert totals.tolist() == [loss.item(), errors, seen]
    assert seen == 60


def test_the_rate_is_that_of_the_step_in_every_group():
    model, seen = net(), []
    optimiser = torch.optim.SGD([{"params": [p]} for p in model.parameters()], lr=99.0)

    def watched(step):
        seen.append(step)
        return lr(step)

    train_steps(model, optimiser, made(3, start=7), lr=watched, seed=0, first_bad=bad_at())
    assert sorted(set(seen)) == [7, 8, 9]
    assert [group["lr"] for group in optimiser.param_groups] == [lr(9)] * len(optimiser.param_groups)


def cut(boundaries, **settings):
    model = net(dropout=0.5)
    optimiser, first_bad, totals = sgd(model), bad_at(), torch.zeros(3)
    for start, stop in zip((0, *boundaries), (*boundaries, 12), strict=True):
        torch.rand(3)  # something else draws in between: an evaluation, a probe
        totals += train_steps(
            model, optimiser, made(stop - start, start), lr=lr, first_bad=first_bad, **{"seed": 5} | settings
        )
    return state(model), totals


@pytest.mark.parametrize("boundaries", [(1,), (6,), (11,), (3, 4, 9), tuple(range(1, 12))])
def test_dropout_draws_the_same_whatever_the_slices(boundaries):
    whole, totals = cut(())
    weights, parts = cut(boundaries)
    assert torch.equal(weights, whole)
    assert parts[1:].equal(totals[1:])
    assert parts[0].item() == pytest.approx(totals[0].item(), rel=1e-5)


def test_dropout_follows_the_seed():
    assert not torch.equal(cut(())[0], cut((), seed=6)[0])


def test_dropout_draws_anew_at_every_step():
    model, masks = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)), []
    model[1].register_forward_hook(lambda module, args, out: masks.append(tuple((out == 0).flatten().tolist())))
    train_steps(model, sgd(model), made(10), lr=lr, seed=0, first_bad=bad_at())
    assert len(set(masks)) == 10


def test_layers_draw_what_a_seeded_torch_draws():
    """Only the generator of the device in use is seeded: to the numbers that `torch.manual_seed` gives."""
    model, drawn = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)), []
    model[0].register_forward_hook(lambda module, args, out: drawn.append(out))
    train_steps(model, sgd(model), made(3), lr=lr, seed=7, first_bad=bad_at())
    for (step, images, _), found in zip(made(3), drawn, strict=True):
        torch.manual_seed(int(streams.bits(1, 7, step, "layers")[0]) >> 1)
        assert torch.equal(found, F.dropout(images, 0.5))


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**40])
def test_any_seed_that_a_config_may_hold(seed):
    model = net()
    train_steps(model, sgd(model), made(1), lr=lr, seed=seed, first_bad=bad_at())


def poisoned(steps, value):
    for step, images, labels in made(10):
        if step in steps:
            images[0, 0, 0, 0] = value
        yield step, images, labels


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 4, 9])
def test_the_first_bad_step_is_exact(step, value):
    model, first_bad = net(), bad_at()
    totals = train_steps(model, sgd(model), poisoned({step}, value), lr=lr, seed=0, first_bad=first_bad)
    assert int(first_bad) == step
    assert not torch.isfinite(totals[0])
    assert totals[2] == 50


def test_it_stays_the_first_across_slices():
    model, first_bad = net(), bad_at()
    optimiser = sgd(model)
    train_steps(model, optimiser, poisoned({3, 7}, float("nan")), lr=lr, seed=0, first_bad=first_bad)
    train_steps(model, optimiser, made(4, start=10), lr=lr, seed=0, first_bad=first_bad)
    assert int(first_bad) == 3


def test_a_step_that_blows_the_weights_up_is_seen_at_the_next_loss():
    """The loss of step 2 is fine; the rate of step 2 is not. What is bad first is the loss of step 3."""
    model, first_bad = net(), bad_at()

    def blown(step):
        return float("inf") if step == 2 else 0.1

    train_steps(model, sgd(model), made(6), lr=blown, seed=0, first_bad=first_bad)
    assert int(first_bad) == 3


def test_a_healthy_run_has_none():
    model, first_bad = net(), bad_at()
    train_steps(model, sgd(model), made(10), lr=lr, seed=0, first_bad=first_bad)
    assert int(first_bad) == -1


def test_running_numbers_of_the_classifier():
    """Two slices, read once: means over all images; reading starts anew."""
    module = Classifier(net(), optimiser=sgd, lr=lr, seed=0)
    optimiser = module.configure_optimizers()
    module.optimizers = lambda: optimiser
    module.training_step(made(3), 0)
    module.training_step(made(5, start=3), 1)
    loss, errors, seen = slow(net(), made(8))
    found = module.read_running()
    assert found["loss"] == pytest.approx(loss.item() / seen, rel=1e-5)
    assert found["error"] == pytest.approx(errors / seen, rel=1e-6)
    module.training_step(made(1, start=8), 2)
    assert module.read_running()["loss"] != pytest.approx(found["loss"], rel=1e-3)


def test_what_a_resumed_classifier_needs_is_in_its_state():
    names = Classifier(net(), optimiser=sgd, lr=lr, seed=0).state_dict()
    assert "first_bad_step" in names
    assert {name.split(".")[0] for name in names} == {"net", "first_bad_step", "running"}


class NoLook(TorchDispatchMode):
    """Refuses what makes the host wait for the device: reading a number out of a tensor."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default, "the host looked at the device"
        return func(*args, **(kwargs or {}))


def test_the_host_never_looks_at_the_device_between_scheduled_steps():
    model, first_bad = net(), bad_at()
    optimiser, batches = sgd(model), list(made(4))
    with NoLook():
        train_steps(model, optimiser, batches, lr=lr, seed=0, first_bad=first_bad)
    with pytest.raises(AssertionError, match="looked"), NoLook():
        first_bad.item()
