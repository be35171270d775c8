"""Every block with every order, shortcut and norm: it runs, learns everywhere, and costs what its shapes say."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cells import cell, net
from reslab.launch.construct import make_net
from reslab.nets.build import Net
from reslab.specs import cost

SHORTCUTS = ("none", "identity", "projection", "projection_all")
BLOCKS = {  # block: (net, smallest depth, width)
    "basic": ("cifar", 8, 8),
    "bottleneck": ("cifar", 11, 8),
    "keras": ("keras", 8, 16),
    "keras_bottleneck": ("keras_v2", 11, 16),
}
CROSS = list(
    itertools.product(("basic", "bottleneck"), ("post", "pre", "keras_pre"), SHORTCUTS, ("batch", "group", "absent"))
)
CROSS += itertools.product(
    ("keras", "keras_bottleneck"),
    ("post", "keras_pre"),
    ("keras_projection", "keras_projection_all", "none"),
    ("keras", "absent"),
)


def counted(model, images):
    """Multiply-adds of one image by watching layers, and the output: independent of specs.cost."""
    total = 0

    def watch(module, _inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            kernel = module.kernel_size[0] * module.kernel_size[1]
            total += output[0].numel() * kernel * module.in_channels // module.groups
        else:
            total += module.in_features * module.out_features

    hooks = [m.register_forward_hook(watch) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    logits = model(images)
    for hook in hooks:
        hook.remove()
    return total, logits


@pytest.mark.parametrize(("block", "order", "shortcut", "norm"), CROSS)
def test_it_runs_learns_and_costs_what_it_says(block, order, shortcut, norm):
    kind, depth, width = BLOCKS[block]
    words = (f"net={kind}", f"block={block}", f"order={order}", f"shortcut={shortcut}", f"norm={norm}")
    built = net(*words, depth=depth, width=width)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    macs, logits = counted(built, images)
    assert logits.shape == (4, 10)
    F.cross_entropy(logits, torch.arange(4)).backward()
    for address, parameter in built.named_parameters():
        assert parameter.grad is not None, address
        assert torch.isfinite(parameter.grad).all(), address
        # A bias in front of a batch norm has no effect: its gradient may be exactly zero.
        assert parameter.grad.any() or address.endswith("bias"), address
    counts = cost(built.spec)
    assert sum(p.numel() for p in built.parameters()) == counts.params
    assert macs == counts.macs
    norms = [m for m in built.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    assert sum(p.numel() for m in norms for p in m.parameters()) == counts.norm_params
    assert bool(norms) == (norm != "absent")


@pytest.mark.parametrize(
    ("image", "depth", "width", "words"),
    [
        ((3, 32, 10), 20, 16, ()),
        ((3, 32, 100), 20, 16, ("shortcut=projection", "order=pre")),
        ((2, 4, 2), 8, 8, ("shortcut=projection",)),
        ((1, 28, 7), 11, 8, ("block=bottleneck", "shortcut=projection_all")),
        ((3, 12, 7), 8, 8, ("net=keras", "block=keras", "shortcut=keras_projection_all", "norm=keras")),
        ((3, 224, 1000), 18, 64, ("net=imagenet", "shortcut=projection")),
        ((3, 224, 1000), 34, 64, ("net=imagenet",)),
        ((3, 224, 1000), 50, 64, ("net=imagenet", "block=bottleneck", "order=pre", "shortcut=projection")),
    ],
)
def test_other_images(image, depth, width, words):
    spec = make_net(cell(*words, image=image, depth=depth, width=width))
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        built = Net(spec)
        macs, logits = counted(built, torch.empty(2, image[0], image[1], image[1]))
    assert logits.shape == (2, image[2])
    counts = cost(spec)
    assert (sum(p.numel() for p in built.parameters()), macs) == (counts.params, counts.macs)


@pytest.mark.parametrize("stride_at", [1, 2])
def test_both_places_to_stride_cost_what_they_say(stride_at):
    made = cell("block=bottleneck", "shortcut=projection", depth=11, width=8)
    spec = make_net(made | {"block": made["block"] | {"stride_at": stride_at}})
    macs, _ = counted(Net(spec), torch.zeros(1, 1, 8, 8))
    assert macs == cost(spec).macs


def test_the_shortcut_is_not_without_effect():
    plain, residual = (net(f"shortcut={shortcut}", depth=8, width=8) for shortcut in ("none", "identity"))
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(plain(images), residual(images))
