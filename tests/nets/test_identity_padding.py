"""A constructed deep net computes what the shallow one does: bit for bit in eval mode, up to rounding in train mode."""

import copy

import pytest
import torch
from torch.nn import functional as F

from cells import net
from reslab.nets.identity_padding import exact, pad, why_not


def images(n, seed=0):
    drawn = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return drawn.contiguous(memory_format=torch.channels_last)


def trained(depth, *choices, width=8, steps=20):
    """A few steps, so that scales, shifts and running statistics are no longer those of the start."""
    made = net("shortcut=none", *choices, depth=depth, width=width)
    optimiser = torch.optim.SGD(made.parameters(), lr=0.05, momentum=0.9)
    for step in range(steps):
        labels = torch.randint(0, 10, (32,), generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        F.cross_entropy(made(images(32, step)), labels).backward()
        optimiser.step()
    return made.eval()


@pytest.fixture(scope="module")
def pair():
    shallow, deep = trained(14), net("shortcut=none", depth=32, width=8)
    pad(shallow, deep, images(128))
    return shallow, deep.eval()


@torch.no_grad()
def difference(shallow, deep, x, train=False):
    ours, theirs = copy.deepcopy(deep).train(train), copy.deepcopy(shallow).train(train)
    return float((ours(x) - theirs(x)).abs().max())


@pytest.mark.parametrize("n", [1, 7, 128, 500])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_no_difference_in_eval_mode(pair, n, scale):
    assert difference(*pair, scale * images(n, seed=99)) == 0.0


def test_hardly_any_in_train_mode_on_the_images_that_set_the_norms(pair):
    assert 0 < difference(*pair, images(128), train=True) < 1e-5
    assert difference(*pair, images(128, seed=5), train=True) > 1e-3, "other images have other statistics"


def test_every_new_unit_is_the_identity_on_what_is_not_negative(pair):
    shallow, deep = pair
    for stage, (old, new) in enumerate(zip(shallow.trunk, deep.trunk, strict=True)):
        assert (len(old), len(new)) == (2, 5)
        x = torch.rand(3, 8 * 2**stage, 8, 8)
        for unit in list(new)[2:]:
            assert torch.equal(unit(x), x)
        assert not torch.equal(new[1](x), x)


def test_the_shallow_net_is_left_alone_and_its_weights_are_in_the_deep_one():
    shallow, deep = trained(8), net("shortcut=none", depth=14, width=8)
    before = {name: value.clone() for name, value in shallow.state_dict().items()}
    pad(shallow, deep, images(64))
    after = deep.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in shallow.state_dict().items())
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not shallow.training


def test_it_can_be_trained_on(pair):
    deep = copy.deepcopy(pair[1]).train()
    F.cross_entropy(deep(images(64)), torch.zeros(64, dtype=torch.int64)).backward()
    assert all(float(p.grad.abs().max()) > 0 for p in deep.parameters() if p.ndim == 4)


def test_a_channel_that_is_always_zero():
    shallow, deep = trained(8), net("shortcut=none", depth=14, width=8)
    for stage in shallow.trunk:
        stage[-1].branch.norm2.weight.data[0] = 0
        stage[-1].branch.norm2.bias.data[0] = -1
    pad(shallow, deep, images(64))
    assert difference(shallow, deep, images(32, seed=3)) == 0.0
    assert difference(shallow, deep, images(64), train=True) < 1e-5


def test_exact_for_any_scale():
    scale = torch.cat([torch.logspace(-2, 4, 5000), torch.full((10,), 1e-5**0.5)])
    found, variance = exact(scale, 1e-5)
    assert torch.allclose(found, scale, rtol=1e-6)
    assert torch.allclose(variance + 1e-5, scale**2, rtol=1e-3)
    zero = torch.zeros_like(scale)
    x = torch.rand(2, len(scale), 2, 2)
    assert torch.equal(F.batch_norm(x, zero, variance, found, zero, False, 0.0, 1e-5), x)


@pytest.mark.parametrize(
    ("shallow", "deep", "said"),
    [
        (("shortcut=none",), {"depth": 8}, "use a larger depth"),
        (("shortcut=identity",), {"depth": 26}, "shortcut=none"),
        (("shortcut=none", "order=pre"), {"depth": 26}, "norm=batch and act=relu"),
        (("shortcut=none", "norm=group"), {"depth": 26}, "norm=batch and act=relu"),
        (("shortcut=none", "norm=absent"), {"depth": 26}, "norm=batch and act=relu"),
        (("shortcut=none", "act=leaky"), {"depth": 26}, "norm=batch and act=relu"),
        (("shortcut=none", "block=bottleneck"), {"depth": 29}, "use block=basic"),
    ],
)
def test_why_not(shallow, deep, said):
    first = net(*shallow, depth=20, width=8)
    second = net(*shallow, width=8, **deep)
    assert said in why_not(first, second)
    with pytest.raises(ValueError, match=r"use|only where|starts from"):
        pad(first, second, images(4))
