"""Nets as data: stem, stages and head composed from the choices; no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reslab.nets import depth as rules
from reslab.specs import Choices, ConvShape, Image, MaxPool, NetSpec, NormAt, Ops, Resize, Stage, Unit, span, stride


@dataclass(frozen=True, kw_only=True)
class Stem:
    """The first convolution: kernel, stride and pooling stride in pixels (1: no pooling)."""

    kernel: int
    stride: int
    pool: int
    bias: bool
    padding: str


def cifar(*, choices: Choices, image: Image, stem: Stem, widths: Sequence[int]) -> NetSpec:
    """The nets of He 2015, section 4.2; `widths` are multiples of `width`, one a stage."""
    return _compose(choices, image, stem, widths, rules.cifar)


def imagenet(*, choices: Choices, image: Image, stem: Stem, widths: Sequence[int]) -> NetSpec:
    """The nets of He 2015, Table 1; `widths` are multiples of `width`, one a stage."""
    return _compose(choices, image, stem, widths, rules.imagenet)


def _compose(
    choices: Choices, image: Image, stem: Stem, widths: Sequence[int], rule: Callable[..., tuple[Stage, ...]]
) -> NetSpec:
    if not widths or any(not isinstance(times, int) or times < 1 for times in widths):
        raise ValueError(f"net.widths={list(widths)} must be positive integers, one multiple of width per stage")
    if choices.width < 1:
        raise ValueError(f"width {choices.width} is not a positive number of channels; 16 is He 2015's")
    for name, value in (("kernel", stem.kernel), ("stride", stem.stride), ("pool", stem.pool)):
        if value < 1:
            raise ValueError(
                f"net.stem.{name}={value} is not a positive number of pixels; use net.stem.{name}=1 or more"
            )
    convs = len(choices.block(choices.width, choices.width * widths[0], 1))
    stages = rule(choices.depth, convs=convs, widths=[choices.width * times for times in widths])
    first = ConvShape(
        c_in=image.channels,
        c_out=choices.width,
        kernel=stem.kernel,
        stride=stem.stride,
        bias=stem.bias,
        padding=stem.padding,
    )
    ops: Ops = (first, *choices.order.after_stem(choices.width))
    if stem.pool > 1:
        ops += (MaxPool(3, stem.pool),)
    units, channels = _trunk(choices, stages)
    net = NetSpec(
        image=image,
        stem=ops,
        stages=units,
        head=choices.order.before_head(channels),
        features=channels,
        choices=choices,
    )
    _check(net, stages)
    return net


def _trunk(choices: Choices, stages: tuple[Stage, ...]) -> tuple[tuple[tuple[Unit, ...], ...], int]:
    channels, trunk = choices.width, []
    for s, stage in enumerate(stages):
        units = []
        for u in range(stage.units):
            branch = choices.block(channels, stage.width, stage.stride if u == 0 else 1)
            shortcut = choices.shortcut(span(branch))
            units.append(choices.order.unit(branch, shortcut, first=s == u == 0))
            channels = branch[-1].c_out
        trunk.append(tuple(units))
    return tuple(trunk), channels


def _check(net: NetSpec, stages: tuple[Stage, ...]) -> None:
    """Refuse images that the strides cannot divide and operations that the layers cannot be made for."""
    total = stride(net.stem)
    for stage in stages:
        total *= stage.stride
    size = net.image.size
    if size % total:
        below = size // total * total
        near = f"{below} or {below + total}" if below else str(total)
        raise ValueError(
            f"images of {size} x {size} pixels cannot be divided by the net's strides ({total}); use {near}"
        )
    for ops, _ in net.paths():
        for op in ops:
            match op:
                case NormAt():
                    net.choices.norm.weights(op.channels)
                case ConvShape() if op.padding not in ("centred", "same"):
                    raise ValueError(f"padding {op.padding!r} is unknown; it is centred or same")
                case ConvShape() if op.padding == "centred" and op.kernel % 2 == 0:
                    raise ValueError(f"a kernel of {op.kernel} has no centre; use an odd one, or padding=same")
                case Resize() if op.c_out < op.c_in:
                    raise ValueError(
                        f"shortcut=identity cannot shrink {op.c_in} channels to {op.c_out}; shortcut=projection can"
                    )
