"""Clean evaluation against slow loops; what it must leave as it found it."""

import contextlib
import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reslab.training.evaluate import Score, evaluate, with_fresh_statistics

N = 53


def net(dropout=0.3, momentum=0.1):
    torch.manual_seed(2)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU(), nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(64, 5),
    )  # fmt: skip
    for _ in range(3):
        made(torch.randn(8, 3, 4, 4))  # statistics that are not the initial ones
    return made


def images(n=N):
    return torch.randint(0, 256, (n, 3, 4, 4), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)


def labels(n=N):
    return torch.randint(0, 5, (n,), generator=torch.Generator().manual_seed(n + 1))


def normalise(batch):
    return batch.float() / 255 - 0.4


def score(model, batch, n=N, precision=contextlib.nullcontext):
    return evaluate(model, images(n), labels(n), normalise=normalise, batch=batch, precision=precision)


def snapshot(model):
    modes = [module.training for module in model.modules()]
    return modes, {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][name], other[1][name]) for name in other[1])


@pytest.mark.parametrize("batch", [1, 7, 50, 52, 53, 54, 500])
def test_against_a_loop_over_single_images(batch):
    """A last batch of another size counts by its images: 53 = 52 + 1 = 50 + 3."""
    model = net()
    silent = copy.deepcopy(model).eval()
    errors, entropy = 0, []
    with torch.no_grad():
        for image, label in zip(images(), labels(), strict=True):
            logits = silent(normalise(image[None]))[0]
            errors += int(logits.argmax() != label)
            entropy.append(F.cross_entropy(logits[None].double(), label[None]).item())
    found = score(model, batch)
    assert (found.errors, found.n) == (errors, N)
    assert found.error == errors / N
    assert found.cross_entropy == pytest.approx(np.mean(entropy), rel=1e-6)
    assert 0 < errors < N


def test_one_image():
    assert score(net(), 500, n=1).n == 1


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="no images"):
        score(net(), 5, n=0)


def test_modes_weights_statistics_and_random_numbers_are_left_as_found():
    model = net().train()
    model[1].eval()  # frozen by hand: must not be switched on
    before, drawn = snapshot(model), torch.get_rng_state()
    score(model, 7)
    assert same(snapshot(model), before)
    assert before[0] == [True, True, False, True, True, True, True]
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_dropout_and_batch_statistics_play_no_part():
    model = net(dropout=0.9)
    assert score(model.train(), 7) == score(model.eval(), 7)


def test_the_net_runs_inside_the_precision_context():
    def half():
        return torch.autocast("cpu", dtype=torch.bfloat16)

    full, low = score(net(), 53), score(net(), 53, precision=half)
    assert full.cross_entropy != low.cross_entropy
    assert low.cross_entropy == pytest.approx(full.cross_entropy, rel=0.05)


def test_share_of_errors():
    assert Score(errors=3, n=12, cross_entropy=1.0).error == 0.25


def refreshed(model, batch, n=N):
    return with_fresh_statistics(model, images(n), normalise=normalise, batch=batch, precision=contextlib.nullcontext)


@pytest.mark.parametrize("momentum", [0.1, 0.01, None])
@pytest.mark.parametrize(("batch", "full"), [(10, 5), (53, 1), (100, 1), (26, 2)])
def test_fresh_statistics_are_plain_means_over_full_batches(batch, full, momentum):
    model = net(momentum=momentum)
    size = min(batch, N)
    means, variances = [], []
    with torch.no_grad():
        for at in range(full):
            out = model[0](normalise(images()[at * size : (at + 1) * size])).double()
            means.append(out.mean((0, 2, 3)))
            variances.append(out.var((0, 2, 3), correction=1))  # torch keeps the unbiased variance
    fresh = refreshed(model, batch)
    torch.testing.assert_close(fresh[1].running_mean.double(), torch.stack(means).mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fresh[1].running_var.double(), torch.stack(variances).mean(0), rtol=1e-5, atol=1e-6)
    assert int(fresh[1].num_batches_tracked) == full


def test_fresh_statistics_forget_the_old_ones():
    model, other = net(), net()
    nn.init.constant_(other[1].running_mean, 1e6)
    assert torch.equal(refreshed(model, 10)[1].running_mean, refreshed(other, 10)[1].running_mean)


def test_fresh_statistics_leave_the_net_untouched_and_change_no_weight():
    model = net().train()
    model[1].eval()
    before = snapshot(model)
    fresh = refreshed(model, 10)
    assert same(snapshot(model), before)
    assert model[1].momentum == 0.1
    weights, own = dict(fresh.named_parameters()), dict(model.named_parameters())
    assert all(torch.equal(weights[name], own[name]) for name in own)
    assert not {value.data_ptr() for value in fresh.state_dict().values()} & {
        value.data_ptr() for value in model.state_dict().values()
    }
    assert not torch.equal(fresh[1].running_mean, model[1].running_mean)


def test_the_same_statistics_give_the_same_score():
    """A net whose statistics are already those of the one full batch scores as its refreshed copy does."""
    model = refreshed(net(), N)
    assert score(refreshed(model, N), 7) == score(model, 7)


def test_a_net_without_batch_norm_is_copied_as_it_is():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    assert score(refreshed(model, 10), 7) == score(model, 7)


class Told(nn.Module):
    """Reads the truth off an image, and says it; of marked images one of the logits is `wrong`, at `place` from it."""

    def __init__(self, wrong, place):
        super().__init__()
        self.wrong, self.place = wrong, place

    def forward(self, batch):
        truth, marked = batch[:, 0, 0, 0].long(), batch[:, 0, 0, 1] > 0
        logits = F.one_hot(truth, 5).float()
        logits[marked, (truth[marked] + self.place) % 5] = self.wrong
        return logits


@pytest.mark.parametrize("batch", [1, 7, N])
@pytest.mark.parametrize(
    ("wrong", "place"), [(math.inf, 0), (math.nan, 0), (-math.inf, 1), (-math.inf, 4), (math.nan, 2), (math.inf, 3)]
)
def test_logits_that_are_not_finite_are_wrong_whatever_is_largest(wrong, place, batch):
    """The truth has the largest logit, or the first that is not a number; a net that overflows knows nothing."""
    pictures, truth = torch.zeros(N, 3, 4, 4, dtype=torch.uint8), labels()
    pictures[:, 0, 0, 0], pictures[::3, 0, 0, 1] = truth.to(torch.uint8), 1

    def found(model):
        return evaluate(
            model, pictures, truth, normalise=torch.Tensor.float, batch=batch, precision=contextlib.nullcontext
        )

    assert found(Told(wrong, place)).errors == len(pictures[::3])
    assert found(Told(0.5, 1)).errors == 0
