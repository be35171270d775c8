"""Interventions on the initial net: what they change, what they leave, and what they are for."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cells import composed, net
from reslab.launch.build import build_net
from reslab.nets.block import basic
from reslab.nets.interventions import convolutions, dirac_init, init_gain, zero_gamma
from reslab.nets.order import Post
from reslab.specs import NormAt

GROWTH = math.pi / (math.pi - 1)


def images(n=32):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before, model):
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_init_gain_by_hand():
    model = net("shortcut=none", depth=8, width=4)
    before = weights(model)
    init_gain(model, growth=2.0)
    names = [f"trunk.{stage}.0.branch.conv{at}.weight" for stage in range(3) for at in (1, 2)]
    for behind, name in enumerate(["stem.conv1.weight", *names][::-1]):
        assert torch.equal(model.state_dict()[name], before[name] * 2 ** (behind / 4))
    assert len(changed(before, model)) == 6  # all convolutions but the last one


@pytest.mark.parametrize(
    "choices", [("shortcut=none",), ("shortcut=none", "order=pre"), ("shortcut=projection_all",), ("norm=group",)]
)
@pytest.mark.parametrize("mode", [True, False])
def test_init_gain_leaves_the_function(choices, mode):
    """In train mode up to the norm's eps, which counts less beside larger weights; running statistics must follow."""
    model = net(*choices, depth=20, width=8).train(mode)
    scaled = net(*choices, depth=20, width=8).train(mode)
    init_gain(scaled, growth=GROWTH)
    if not mode:
        for one in (model, scaled):
            for module in one.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1.0
            one.train()(images())
            one.eval()
    with torch.no_grad():
        mine, theirs = scaled(images()), model(images())
    assert torch.allclose(mine, theirs, rtol=1e-2, atol=5e-3 * float(theirs.std()))


def relative_gradients(model, n=128):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, 1, 8, 8, generator=generator)
    F.cross_entropy(model(images), torch.randint(0, 10, (n,), generator=generator)).backward()
    return [float(conv.weight.grad.norm() / conv.weight.detach().norm()) for conv in convolutions(model)]


def test_init_gain_equalises_relative_gradients():
    def spread(prepared):
        model = net("shortcut=none", depth=32, width=16)
        if prepared:
            init_gain(model, growth=GROWTH)
        found = [math.log(value) for value in relative_gradients(model)]
        return max(found) - min(found)

    assert spread(prepared=False) > 5
    assert spread(prepared=True) < 2


def test_dirac_init_by_hand():
    model = net("shortcut=none", depth=14, width=4)
    before = weights(model)
    dirac_init(model, noise=0.1)
    shaping = {"trunk.1.0.branch.conv1.weight", "trunk.2.0.branch.conv1.weight"}
    convs = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, nn.Conv2d)}
    assert changed(before, model) == convs - shaping - {"stem.conv1.weight"}
    at = "trunk.0.1.branch.conv2.weight"
    identity = torch.zeros(4, 4, 3, 3)
    for channel in range(4):
        identity[channel, channel, 1, 1] = 1
    assert torch.allclose(model.state_dict()[at], identity + 0.1 * before[at])


def test_dirac_init_passes_what_comes_in():
    """Without noise a convolution is the identity, so that a unit correlates with its input, channel by channel."""
    model = net("shortcut=none", depth=20, width=8)
    dirac_init(model, noise=0.0)
    x = torch.rand(4, 8, 8, 8)
    assert torch.equal(model.trunk[0][0].branch.conv1(x), x)
    out, drawn = model.trunk[0][0](x), net("shortcut=none", depth=20, width=8).trunk[0][0](x)

    def correlation(y):
        pairs = [torch.stack([x[:, c].flatten(), y[:, c].detach().flatten()]) for c in range(8)]
        return min(float(torch.corrcoef(pair)[0, 1]) for pair in pairs)

    assert correlation(out) > 0.4 > 0.1 > correlation(drawn)


def test_zero_gamma_starts_units_as_their_shortcuts():
    model = net("shortcut=identity", depth=14, width=4)
    before = weights(model)
    zero_gamma(model)
    assert changed(before, model) == {f"trunk.{s}.{u}.branch.norm2.weight" for s in range(3) for u in range(2)}
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(model.trunk[0](x), x)


def test_zero_gamma_would_kill_a_plain_net_which_is_why_it_is_refused():
    model = net("shortcut=none", depth=14, width=4)
    zero_gamma(model)
    assert sum(relative_gradients(model, n=8)) == 0


@pytest.mark.parametrize("name", ["init_gain", "dirac_init"])
def test_the_config_prepares_the_net(name):
    prepared = build_net(composed("shortcut=none", "depth=8", f"intervention={name}"))
    by_hand = build_net(composed("shortcut=none", "depth=8"))
    if name == "init_gain":
        init_gain(by_hand, growth=1.4669)
    else:
        dirac_init(by_hand, noise=0.1)
    assert not changed(weights(by_hand), prepared)


def test_convolutions_go_from_the_image_to_the_classifier_without_shortcuts():
    model = net("shortcut=projection_all", depth=8, width=4)
    names = {part: name for name, part in model.named_modules()}
    found = [names[conv] for conv in convolutions(model)]
    assert found == ["stem.conv1", *(f"trunk.{s}.0.branch.conv{at}" for s in range(3) for at in (1, 2))]


def test_leaky_relu():
    model = build_net(composed("shortcut=none", "depth=8", "intervention=leaky"))
    slopes = {part.negative_slope for part in model.modules() if isinstance(part, nn.LeakyReLU)}
    assert slopes == {0.01}
    assert not any(isinstance(part, nn.ReLU) for part in model.modules())
    assert not changed(weights(build_net(composed("shortcut=none", "depth=8"))), model)


def test_every_post_branch_ends_with_a_norm():
    """What `zero_gamma` relies on."""
    unit = Post().unit(basic(4, 4, 1, bias=False, padding="centred"), (), first=False)
    assert isinstance(unit.branch[-1], NormAt)
