"""Parameters and multiply-adds: closed forms and published numbers against shapes, built modules, torch's counter."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reslab.launch.construct import make_net
from reslab.launch.verify.fact import EXACT, Fact, share
from reslab.launch.verify.real import config, name
from reslab.nets.build import Net
from reslab.specs import Cost, cost

HAND, VISION = "closed form, by hand", "torchvision"
OPTION_C = {20: 283_962, 32: 489_594, 44: 695_226, 56: 900_858, 110: 1_826_202}
IMAGENET = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
PLAIN_IMAGENET = {18: 11_515_688, 34: 21_623_848}


def facts() -> Iterator[Fact]:
    """Nets of He 2015: CIFAR (section 4.2, widths 16, 32, 64, ten classes), ImageNet (Table 1)."""
    yield from _cifar()
    yield from _built()
    yield from _imagenet()


def parameters(n: int) -> int:
    """Of the plain net, and of the one with option A, of 6n + 2 layers."""
    return 97_216 * n - 21_926


def multiply_adds(n: int) -> int:
    """The same for one image of 32 x 32 pixels."""
    return 14_155_776 * n - 1_916_288


def _cifar() -> Iterator[Fact]:
    for depth in (20, 32, 44, 56, 110, 1202):
        found = _cost("none", depth)
        yield Fact(f"parameters of plain-{depth}: 97,216 n - 21,926", HAND, parameters(depth // 6), found.params, EXACT)
        if depth < 1202:
            law = f"multiply-adds of plain-{depth}: 14,155,776 n - 1,916,288"
            yield Fact(law, HAND, multiply_adds(depth // 6), found.macs, EXACT)
    for depth in (20, 110):
        plain, a, b = (_cost(shortcut, depth) for shortcut in ("none", "identity", "projection"))
        pre = _cost("projection", depth, "order=pre").params - _cost("none", depth, "order=pre").params
        yield Fact(f"parameters of option A at depth {depth}: none", HAND, 0, a.params - plain.params, EXACT)
        yield Fact(f"parameters of option B at depth {depth}", HAND, 2_752, b.params - plain.params, EXACT)
        yield Fact(f"parameters of option B at depth {depth}, no norm on it", HAND, 2_560, pre, EXACT)
        yield Fact(f"multiply-adds of option B at depth {depth}", HAND, 262_144, b.macs - plain.macs, EXACT)
    for depth, params in OPTION_C.items():
        law = f"parameters of {name('projection_all', depth)}"
        yield Fact(law, HAND, params, _cost("projection_all", depth).params, EXACT)


def _built() -> Iterator[Fact]:
    """Modules on torch's meta device: shapes without numbers."""
    for shortcut, depth in (("none", 20), ("identity", 56), ("projection", 56), ("projection_all", 20)):
        made = config(shortcut, depth)
        net, counts = _on_meta(made), _counted(made)
        params = sum(parameter.numel() for parameter in net.parameters())
        yield Fact(f"parameters of the built {name(shortcut, depth)}", "its shapes", counts.params, params, EXACT)
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 3, 32, 32, device="meta"))
        law = f"operations of the built {name(shortcut, depth)}: 2 x multiply-adds"
        yield Fact(law, "torch's FlopCounterMode", 2 * counts.macs, counter.get_total_flops(), EXACT)


def _imagenet() -> Iterator[Fact]:
    for depth, params in IMAGENET.items():
        made = _of_imagenet("projection", depth, stride_at=2)
        law = f"parameters of ResNet-{depth}-B for ImageNet"
        yield Fact(law, VISION, params, _counted(made).params, EXACT)
        built = sum(parameter.numel() for parameter in _on_meta(made).parameters())
        yield Fact(f"{law}, built", VISION, params, built, EXACT)
    for depth, params in PLAIN_IMAGENET.items():
        for shortcut in ("none", "identity"):
            counts = _counted(_of_imagenet(shortcut, depth))
            yield Fact(f"parameters of {name(shortcut, depth)} for ImageNet", HAND, params, counts.params, EXACT)
    for depth, billions, place, source in (
        (18, 1.8, 1, "He 2015, Table 1"),
        (34, 3.6, 1, "He 2015, Table 1"),
        (50, 3.8, 1, "He 2015, Table 1"),
        (50, 4.089, 2, VISION),
    ):
        macs = _counted(_of_imagenet("projection" if depth >= 50 else "identity", depth, stride_at=place)).macs / 1e9
        where = f", stride in {('the 1x1', 'the 3x3')[place - 1]}" if depth >= 50 else ""
        law = f"multiply-adds of ResNet-{depth} for ImageNet{where}, 1e9"
        yield Fact(law, source, billions, macs, share(0.02 if source.startswith("He") else 0.001))


def _cost(shortcut: str, depth: int, *words: str) -> Cost:
    return _counted(config(shortcut, depth, *words))


def _counted(made: dict[str, Any]) -> Cost:
    found = cost(make_net(made))
    assert found is not None, "our own layers are counted"
    return found


def _on_meta(made: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):
        return Net(make_net(made))


def _of_imagenet(shortcut: str, depth: int, *, stride_at: int = 1) -> dict[str, Any]:
    bottleneck = depth >= 50
    made = config(shortcut, depth, "net=imagenet", f"block={'bottleneck' if bottleneck else 'basic'}", "width=64")
    image = {"channels": 3, "size": 224, "classes": 1000}
    where = {"stride_at": stride_at} if bottleneck else {}
    return made | {"data": made["data"] | image, "block": made["block"] | where}
