"""Nets of theory, made by our own builder: on images of one pixel a 1x1 convolution is a fully connected layer."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from reslab.nets import act, join, order, shortcut
from reslab.nets.build import Net
from reslab.nets.initialise import Law, initialise
from reslab.nets.norm import Absent, Batch
from reslab.probes.reading import ProbeBatch, Reading
from reslab.specs import Choices, ConvShape, Image, NetSpec

WIDTH, CLASSES = 512, 10
BATCH_NORM = Batch(eps=1e-5, momentum=0.1)
HE = Law(shape="normal", gain=2.0, fan="in")


def plain_net(*stages: int, norm: Batch | Absent, act: Callable[[], nn.Module] = act.relu, seed: int) -> nn.Module:
    """Units of linear, norm, activation; this many in each stage, behind a stem of one such layer."""
    return _net(order.Post(), shortcut.none, stages, norm, act, seed)


def residual_net(*stages: int, norm: Batch | Absent, seed: int) -> nn.Module:
    """x + linear(activation(norm(x))): pre-activation units of one layer, behind a linear stem (He 2016, Fig. 1b)."""
    return _net(order.Pre(projections_read="raw"), shortcut.identity, stages, norm, act.relu, seed)


def _net(
    made: order.Post | order.Pre,
    around: Callable[[ConvShape], tuple | None],
    stages: Sequence[int],
    norm: Batch | Absent,
    act: Callable[[], nn.Module],
    seed: int,
) -> nn.Module:
    layer = ConvShape(c_in=WIDTH, c_out=WIDTH, kernel=1, stride=1)
    unit = made.unit((layer,), around(layer), first=False)
    choices = Choices(
        block=lambda c_in, width, stride: (layer,),
        order=made,
        shortcut=around,
        join=join.add,
        norm=norm,
        act=act,
        depth=sum(stages) + 2,
        width=WIDTH,
    )
    spec = NetSpec(
        image=Image(channels=WIDTH, size=1, classes=CLASSES),
        stem=(layer, *made.after_stem(WIDTH)) if isinstance(made, order.Post) else (layer,),
        stages=tuple((unit,) * units for units in stages),
        head=(),
        features=WIDTH,
        choices=choices,
    )
    net = Net(spec)
    initialise(net, seed=seed, conv=HE, linear=HE)
    return net


def gauss(images: int, *, chunk: int, seed: int) -> ProbeBatch:
    """Independent normal inputs of mean 0, such that He's initialisation makes outputs of variance 1 of them."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(images, WIDTH, 1, 1, generator=draw) * 0.5**0.5
    return ProbeBatch(values, torch.randint(CLASSES, (images,), generator=draw), chunk)


def value(readings: Sequence[Reading], layer: str, statistic: str) -> float:
    """One reading by its address."""
    return next(r.value for r in readings if (r.layer, r.statistic) == (layer, statistic))
