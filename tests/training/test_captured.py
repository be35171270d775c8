"""Recorded steps against `train_steps`: a CPU takes the step itself for its replay, and all but the recording is held.

The recording itself needs a GPU, and is held by the last test where there is one.
"""

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from reslab.training import optimise
from reslab.training.captured import Captured
from reslab.training.steps import train_steps

ROWS, BATCH = 44, 8


class Plan:
    """A slice as `data.module.Slice` is one, of images that are drawn from a seed."""

    def __init__(self, start, stop, *, spoilt=()):
        self.start, self.stop, self.spoilt = start, stop, spoilt
        draw = torch.Generator().manual_seed(3)
        self.images = torch.randn(ROWS, 2, 4, 4, generator=draw)
        self.labels = torch.randint(0, 3, (ROWS,), generator=draw)

    steps_per_epoch = ROWS // BATCH

    def drawn(self, epoch):
        order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(100 + epoch))
        return torch.stack([order, order % 3, order % 5, order % 2])[:, : self.steps_per_epoch * BATCH]

    def assemble(self, drawn):
        order, dy, dx, flip = drawn
        images = self.images[order] + 0.1 * (dy - dx + flip)[:, None, None, None]
        return images.contiguous(memory_format=torch.channels_last), self.labels[order]

    def __iter__(self):
        for step in range(self.start, self.stop):
            epoch, at = divmod(step, self.steps_per_epoch)
            yield step, *self.assemble(self.drawn(epoch)[:, at * BATCH : (at + 1) * BATCH])


def net(dropout=0.0, momentum=None):
    torch.manual_seed(1)
    made = nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4, momentum=momentum), nn.Flatten()),
        *(nn.Dropout(dropout), nn.Linear(64, 3)),
    )
    return made.to(memory_format=torch.channels_last)


def lr(step):
    return 0.125 / (1 + step // 4)  # exact in single precision, which the device holds


def sgd(model, momentum=0.9):
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.01}]
    groups.append({"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0})
    return torch.optim.SGD(groups, lr=99.0, momentum=momentum, fused=True)


def itself(step):
    return step


def trained(slices, *, dropout=0.0, momentum=0.9, bf16=False, model=None, optimiser=None, capture=True, lr=lr):
    """Weights, statistics, momenta, sums and the first bad step after these slices."""
    model = net(dropout) if model is None else model
    optimiser = sgd(model, momentum) if optimiser is None else optimiser
    first_bad, sums, steps = torch.tensor(-1), [], Captured(compiled=False, record=itself) if capture else train_steps
    for start, stop in slices:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16, cache_enabled=False):
            sums.append(steps(model, optimiser, Plan(start, stop), lr=lr, seed=5, first_bad=first_bad))
    momenta = [s["momentum_buffer"] for s in optimiser.state.values() if s.get("momentum_buffer") is not None]
    return [*model.state_dict().values(), *momenta, *sums, first_bad], model, optimiser


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


SLICES = [(0, 3), (3, 4), (4, 11), (11, 23)]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_all_that_training_leaves_is_bitwise_that_of_train_steps(dropout, momentum, bf16):
    settings = {"dropout": dropout, "momentum": momentum, "bf16": bf16}
    found, _, _ = trained(SLICES, **settings)
    plain, _, _ = trained(SLICES, capture=False, **settings)
    assert same(found, plain)


def test_the_update_of_a_run_differs_in_rounding_alone():
    """The recipe's SGD takes its rate in double precision, parameter after parameter; the recorded one does not."""

    def own(model):
        groups = optimise.groups(model, weight_decay=0.01, decay=("conv", "linear"))
        return optimise.sgd(groups, lr=99.0, momentum=0.9, nesterov=False)

    def rate(step):
        return 0.1 / (1 + step // 4)

    (model, other), found = (net(), net()), []
    for made, capture in ((model, True), (other, False)):
        found.append(trained(SLICES, model=made, optimiser=own(made), capture=capture, lr=rate)[0])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bf16", [False, True])
def test_layers_that_share_a_weight_add_up_their_gradients(bf16):
    def tied():
        torch.manual_seed(1)
        first = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        second = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        second.weight = first.weight
        return nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(32, 3))

    found, _, _ = trained(SLICES, model=tied(), bf16=bf16)
    plain, _, _ = trained(SLICES, model=tied(), bf16=bf16, capture=False)
    assert same(found, plain)


def test_a_schedule_is_asked_for_the_steps_of_the_run_alone():
    """One that ends where the run does: the run ends in the midst of an epoch."""
    rates = [lr(step) for step in range(13)]
    found, _, _ = trained([(0, 7), (7, 13)], lr=lambda step: rates[step])
    plain, _, _ = trained([(0, 7), (7, 13)], capture=False)
    assert same(found, plain)


def test_a_norm_that_is_held_still_counts_nothing():
    def still():
        model = net()
        model[1].train = lambda mode=True: model[1]
        model[1].training = False
        return model

    found, _, _ = trained(SLICES, model=still())
    plain, _, _ = trained(SLICES, model=still(), capture=False)
    assert same(found, plain)


def test_slices_of_any_cut_leave_the_same_weights():
    whole, _, _ = trained([(0, 23)])
    cut, _, _ = trained([(at, at + 1) for at in range(23)])
    assert same(whole[:16], cut[:16])


def test_it_goes_on_from_any_step_with_what_an_optimiser_has_kept():
    whole, _, _ = trained([(0, 9), (9, 20)])
    _, model, optimiser = trained([(0, 9)])
    again = copy.deepcopy(model)
    other = sgd(again)
    other.load_state_dict(optimiser.state_dict())
    resumed, _, _ = trained([(9, 20)], model=again, optimiser=other)
    assert same(whole[:-3], resumed[:-2])
    assert torch.equal(whole[-2], resumed[-2])


def test_an_optimiser_is_left_as_it_was_but_for_its_rate_and_momenta():
    _, model, optimiser = trained([(0, 7)])
    reference = sgd(net())
    for group, plain in zip(optimiser.param_groups, reference.param_groups, strict=True):
        assert {k: v for k, v in group.items() if k not in ("params", "lr")} == {
            k: v for k, v in plain.items() if k not in ("params", "lr")
        }
        assert group["lr"] == lr(6)
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_gradients_are_those_of_the_last_step():
    for bf16 in (False, True):
        _, model, _ = trained(SLICES, bf16=bf16)
        _, plain, _ = trained(SLICES, bf16=bf16, capture=False)
        for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
            assert torch.equal(mine.grad, theirs.grad)


def test_the_first_loss_that_is_not_finite_is_kept():
    def bad(step):
        return 1e30 if step == 4 else 0.125

    found, _, _ = trained([(0, 3), (3, 9)], lr=bad)
    plain, _, _ = trained([(0, 3), (3, 9)], lr=bad, capture=False)
    assert found[-1] == plain[-1]
    assert found[-1] >= 5


class Looks(TorchDispatchMode):
    """Counts what would be a look at the device from the host."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_step_that_is_recorded_never_looks_at_the_device(monkeypatch):
    monkeypatch.setattr(torch, "_fused_sgd_", lambda *args, **settings: None)  # a CPU's looks at the rate, a GPU's not
    recorded = []

    def watched(step):
        with Looks() as looks:
            step()
        recorded.append(looks.found)
        return step

    model = net(momentum=0.1)  # without, a norm divides by its count on the host
    Captured(compiled=False, record=watched)(model, sgd(model), Plan(0, 3), lr=lr, seed=5, first_bad=torch.tensor(-1))
    assert recorded == [[]]


def test_other_optimisers_are_refused():
    model = net()
    for optimiser in (torch.optim.Adam(model.parameters()), torch.optim.SGD(model.parameters(), 0.1, 0.9, 0.5)):
        with pytest.raises(ValueError, match=r"records SGD without dampening.*use trainer.cuda_graph=false"):
            Captured(compiled=False, record=itself)(
                model, optimiser, Plan(0, 3), lr=lr, seed=5, first_bad=torch.tensor(-1)
            )


def test_a_step_that_cannot_be_recorded_says_what_to_do():
    def broken(step):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    model = net()
    with pytest.raises(RuntimeError, match=r"\(operation not permitted .* capturing\); use trainer.cuda_graph=false"):
        Captured(compiled=False, record=broken)(
            model, sgd(model), Plan(0, 3), lr=lr, seed=5, first_bad=torch.tensor(-1)
        )


@pytest.mark.hardware("a CUDA graph on a GPU")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_on_a_gpu_replays_are_bitwise_the_steps(dropout, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)

    def on_gpu(captures):
        model, first_bad = net(dropout, momentum=0.1).cuda(), torch.tensor(-1, device="cuda")
        optimiser, sums = sgd(model), []
        steps = Captured(compiled=False) if captures else train_steps
        for start, stop in SLICES:
            sums.append(steps(model, optimiser, OnGpu(start, stop), lr=lr, seed=5, first_bad=first_bad))
        return [*model.state_dict().values(), *sums]

    assert same(on_gpu(True), on_gpu(False))


class OnGpu(Plan):
    """The same slices with all they hold on the GPU."""

    def __init__(self, start, stop):
        super().__init__(start, stop)
        self.images, self.labels = self.images.cuda(), self.labels.cuda()

    def drawn(self, epoch):
        return super().drawn(epoch).cuda()
