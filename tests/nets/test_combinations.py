"""Every block with every order, shortcut and norm: it runs, learns everywhere, and costs what its shapes say."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reslab.nets.build import Net
from reslab.specs import cost

SHORTCUTS = ("none", "identity", "projection", "projection_all")
CROSS = [
    {"block": block, "order": order, "shortcut": shortcut, "norm": norm}
    for block, order, shortcut, norm in itertools.product(
        ("basic", "bottleneck"), ("post", "pre", "keras_pre"), SHORTCUTS, ("batch", "group", "absent")
    )
]
KERAS = [
    {"block": block, "order": order, "shortcut": shortcut, "norm": norm, "net": net, "width": 16}
    for (block, net), order, shortcut, norm in itertools.product(
        (("keras", "keras"), ("keras_bottleneck", "keras_v2")),
        ("post", "keras_pre"),
        ("keras_projection", "keras_projection_all", "none"),
        ("keras", "absent"),
    )
]


def name(chosen):
    return "-".join(map(str, chosen.values()))


def counted(net, images):
    """Multiply-adds of one image by watching layers, and the output: independent of specs.cost."""
    total = 0

    def watch(module, _inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            kernel = module.kernel_size[0] * module.kernel_size[1]
            total += output[0].numel() * kernel * module.in_channels // module.groups
        else:
            total += module.in_features * module.out_features

    hooks = [m.register_forward_hook(watch) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    logits = net(images)
    for hook in hooks:
        hook.remove()
    return total, logits


@pytest.mark.parametrize("chosen", CROSS + KERAS, ids=name)
def test_it_runs_learns_and_costs_what_it_says(build, chosen):
    net = build(**chosen)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    macs, logits = counted(net, images)
    assert logits.shape == (4, 10)
    F.cross_entropy(logits, torch.arange(4)).backward()
    for address, parameter in net.named_parameters():
        assert parameter.grad is not None, address
        assert torch.isfinite(parameter.grad).all(), address
        assert parameter.ndim == 1 or parameter.grad.abs().max() > 0, address
    counts = cost(net.spec)
    assert sum(p.numel() for p in net.parameters()) == counts.params
    assert macs == counts.macs
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    assert sum(p.numel() for m in norms for p in m.parameters()) == counts.norm_params
    assert bool(norms) == (chosen["norm"] != "absent")


@pytest.mark.parametrize(
    ("image", "chosen"),
    [
        ((3, 32, 10), {"depth": 20, "width": 16}),
        ((3, 32, 100), {"depth": 20, "width": 16, "shortcut": "projection", "order": "pre"}),
        ((3, 12, 7), {"block": "bottleneck", "shortcut": "projection_all"}),
        ((3, 12, 7), {"block": "keras", "net": "keras", "shortcut": "keras_projection_all", "norm": "keras"}),
        ((3, 224, 1000), {"net": "imagenet", "depth": 18, "width": 64, "shortcut": "projection"}),
        ((3, 224, 1000), {"net": "imagenet", "depth": 34, "width": 64}),
        ((3, 224, 1000), {"net": "imagenet", "depth": 50, "width": 64, "block": "bottleneck", "order": "pre"}),
        ((1, 64, 2), {"net": "imagenet", "depth": 152, "width": 64, "block": "bottleneck", "shortcut": "none"}),
    ],
)
@pytest.mark.parametrize("stride_at", [1, 2])
def test_other_images(describe, image, chosen, stride_at):
    if chosen.get("block") == "bottleneck":
        chosen = chosen | {"values": {"block.stride_at": stride_at}}
    elif stride_at == 2:
        pytest.skip("only bottlenecks choose where to stride")
    spec = describe(image=image, **chosen)
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        net = Net(spec)
        macs, logits = counted(net, torch.empty(2, image[0], image[1], image[1]))
    assert logits.shape == (2, image[2])
    counts = cost(spec)
    assert (sum(p.numel() for p in net.parameters()), macs) == (counts.params, counts.macs)


def test_a_plain_net_forgets_nothing_but_the_sum(build):
    plain, residual = build(shortcut="none"), build(shortcut="identity")
    residual.load_state_dict(plain.state_dict())
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(plain(images), residual(images))
