"""Every combination of block, order, shortcut and norm runs, learns and costs what its description says."""

from itertools import product

import pytest
import torch
from cells import cell
from torch import nn

from reslab.launch.construct import make_net
from reslab.launch.worker import build_net
from reslab.nets.build import Net
from reslab.specs import cost

AXES = {
    "block": ("basic", "bottleneck"),
    "order": ("post", "pre"),
    "shortcut": ("none", "identity", "projection", "projection_all"),
    "norm": ("batch", "group", "absent"),
}
DEPTH = {"basic": 8, "bottleneck": 11}


def counted_by_hooks(net, images):
    """Multiply-adds of one image, from the tensors that pass through Conv2d and Linear."""
    total = 0

    def add(module, inputs, output):
        nonlocal total
        per_output = module.weight[0].numel()  # one multiply-add per weight of an output channel
        total += per_output * output.numel() // len(images)

    hooks = [m.register_forward_hook(add) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    net(images)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize(("block", "order", "shortcut", "norm"), list(product(*AXES.values())))
def test_forward_backward_and_cost(block, order, shortcut, norm):
    words = f"block={block}", f"order={order}", f"shortcut={shortcut}", f"norm={norm}"
    made = cell(*words, depth=DEPTH[block], width=8)
    net, spec = build_net(made), make_net(made)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = net(images)
    assert logits.shape == (4, 10)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    counts = cost(spec)
    assert sum(p.numel() for p in net.parameters()) == counts.params
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    assert sum(p.numel() for m in norms for p in m.parameters()) == counts.norm_params
    assert bool(norms) == (norm != "absent")
    assert counted_by_hooks(net, images) == counts.macs


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("image", [(3, 32, 10), (1, 28, 7), (2, 4, 2)])
def test_other_images(image, block):
    channels, size, classes = image
    made = cell(f"block={block}", "order=pre", "shortcut=projection", image=image, depth=DEPTH[block], width=8)
    net = build_net(made)
    images = torch.zeros(2, channels, size, size)
    assert net(images).shape == (2, classes)
    assert counted_by_hooks(net, images) == cost(make_net(made)).macs


@pytest.mark.parametrize(("depth", "block"), [(18, "basic"), (50, "bottleneck")])
def test_imagenet_sizes(depth, block):
    words = "net=imagenet", "shortcut=projection", f"block={block}"
    made = cell(*words, image=(3, 224, 1000), depth=depth, width=64)
    spec = make_net(made)
    with torch.device("meta"):
        net = Net(spec)
    images = torch.zeros(1, 3, 224, 224, device="meta")
    assert net(images).shape == (1, 1000)
    assert counted_by_hooks(net, images) == cost(spec).macs
    assert sum(p.numel() for p in net.parameters()) == cost(spec).params
