"""Nets as frozen data, and what they cost: the one source of truth that needs no torch.

A net is described by tuples of operations. `nets.build` makes modules from them, `cost` counts them,
and a test holds both against each other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """One square convolution: channels, kernel and stride in pixels.

    `padding` is "centred" (kernel // 2 on every side) or "same" (Keras: what is odd goes right and below).
    `normed` says whether a shortcut's convolution is followed by a norm where the order gives it one.
    """

    c_in: int
    c_out: int
    kernel: int
    stride: int
    bias: bool = False
    padding: str = "centred"
    normed: bool = True

    @property
    def changes_shape(self) -> bool:
        """Whether channels or resolution differ between input and output."""
        return self.c_in != self.c_out or self.stride != 1


@dataclass(frozen=True)
class NormAt:
    """A norm over this many channels, of the kind that the net was given."""

    channels: int


@dataclass(frozen=True)
class ActAt:
    """The net's activation."""


@dataclass(frozen=True)
class MaxPool:
    """Max pooling; kernel and stride in pixels, padded by kernel // 2."""

    kernel: int
    stride: int


@dataclass(frozen=True)
class Resize:
    """Option A of He 2015, section 3.3: every stride-th pixel, new channels zero; no weights."""

    c_in: int
    c_out: int
    stride: int


@dataclass(frozen=True)
class Layer:
    """A module of the user's own, made by `make()`; its cost is unknown until it is built."""

    make: Callable[[], Any]
    stride: int = 1


Op = ConvShape | NormAt | ActAt | MaxPool | Resize | Layer
Ops = tuple[Op, ...]
Block = Callable[[int, int, int], tuple[ConvShape, ...]]
Shortcut = Callable[[ConvShape], Ops | None]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A branch, an optional shortcut around it, and what stands before and after both."""

    before: Ops
    branch: Ops
    shortcut: Ops | None
    after: Ops
    shortcut_reads_activated: bool


@dataclass(frozen=True)
class Stage:
    """This many units of one inner width; the first one strides."""

    units: int
    width: int
    stride: int


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a data source delivers: channels, side in pixels, number of classes."""

    channels: int
    size: int
    classes: int


PARAMETER_KINDS = ("conv", "linear", "norm", "bias")  # weights of convolutions, classifier and norms; biases


@runtime_checkable
class Norm(Protocol):
    """How activations are normalised: the number of its weights, and the layer."""

    def weights(self, channels: int) -> int:
        """Trainable numbers of one such norm; raises ValueError where the channels do not fit."""
        ...

    def layer(self, channels: int) -> Any:
        """The torch module, or None where nothing is normalised."""
        ...


@runtime_checkable
class Order(Protocol):
    """Where norm and activation sit (He 2016, section 4)."""

    def after_stem(self, channels: int) -> Ops:
        """What follows the stem's convolution."""
        ...

    def unit(self, branch: tuple[ConvShape, ...], shortcut: Ops | None, *, first: bool) -> Unit:
        """One unit from the shapes of its branch and shortcut; `first` is the unit after the stem."""
        ...

    def before_head(self, channels: int) -> Ops:
        """What precedes the pooling."""
        ...


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The independent choices that make a net."""

    block: Block
    order: Order
    shortcut: Shortcut
    join: Callable[[], Any]
    norm: Norm
    act: Callable[[], Any]
    depth: int
    width: int


@dataclass(frozen=True, kw_only=True)
class NetSpec:
    """A whole classifier as data: stem, stages of units, head, and the layers to build them with."""

    image: Image
    stem: Ops
    stages: tuple[tuple[Unit, ...], ...]
    head: Ops
    features: int
    choices: Choices

    def paths(self) -> Iterator[tuple[Ops, int]]:
        """Every chain of operations with the side in pixels of the image that enters it."""
        size = self.image.size
        yield self.stem, size
        size //= stride(self.stem)
        for stage in self.stages:
            for unit in stage:
                yield unit.before, size
                yield unit.branch, size
                yield unit.shortcut or (), size
                size //= stride(unit.branch)
                yield unit.after, size
        yield self.head, size


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Exact counts: trainable numbers, those of them in norms, and multiply-adds of one image.

    Multiply-adds are those of convolutions and the classifier. Norms, activations, pooling, additions and
    biases are left uncounted, as in He 2015, Table 1.
    """

    params: int
    norm_params: int
    macs: int


def span(branch: tuple[ConvShape, ...]) -> ConvShape:
    """The 1x1 convolution that makes the same change of channels and resolution as a whole branch."""
    return ConvShape(
        c_in=branch[0].c_in,
        c_out=branch[-1].c_out,
        kernel=1,
        stride=stride(branch),
        bias=branch[0].bias,
        padding=branch[0].padding,
    )


def stride(ops: Ops) -> int:
    """By how much a chain of operations divides the side of the image."""
    total = 1
    for op in ops:
        total *= getattr(op, "stride", 1)
    return total


def cost(net: NetSpec) -> Cost | None:
    """Parameters and multiply-adds of a net from its shapes; None where a user's own layer hides them."""
    params = net.features * net.image.classes + net.image.classes
    macs = net.features * net.image.classes
    norms = 0
    for ops, size in net.paths():
        for op in ops:
            if isinstance(op, Layer):
                return None
            size //= getattr(op, "stride", 1)
            if isinstance(op, ConvShape):
                weights = op.c_in * op.c_out * op.kernel**2
                params += weights + op.c_out * op.bias
                macs += weights * size**2
            if isinstance(op, NormAt):
                norms += net.choices.norm.weights(op.channels)
    return Cost(params=params + norms, norm_params=norms, macs=macs)
