"""The loss landscape: directions as long as the net, slices that BatchNorm cannot stretch, known curvatures."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn
from torch.nn import functional as F

from reslab.launch.probing.init import smooth_images
from reslab.launch.verify.fact import EXACT, Fact, distance, share
from reslab.launch.verify.real import name, real_net, smooth
from reslab.probes import curvature, slices
from reslab.probes.copies import copy_of, settled
from reslab.probes.reading import ProbeBatch

LI, INVARIANCE = "Li et al. 2018", "scale invariance"
SHARES = (-0.5, 0.25, 1.0)
EPS = "norm.eps=1e-9"  # BatchNorm's eps alone feels the length of a filter
SCALE, STEP = 2.0, 1e-7


def facts() -> Iterator[Fact]:
    """Slices of real nets at initialisation, in train mode; curvature of a parabola, and of a small net."""
    for shortcut in ("none", "identity"):
        yield from _slices(shortcut, 20)
    yield from _parabola()
    yield from _hessian()


def _slices(shortcut: str, depth: int) -> Iterator[Fact]:
    net, batch = real_net(shortcut, depth, EPS), smooth(64, seed=0)
    along = slices.direction(net, seed=0, draw=0)
    lengths = {at: (slices.filter_norms(along[at]), slices.filter_norms(w)) for at, w in net.named_parameters()}
    apart = max((mine - own).abs().max().item() / max(own.max().item(), 1e-30) for mine, own in lengths.values())
    which = name(shortcut, depth)
    yield Fact(f"{which}: filters of a direction, furthest from the net's own length", LI, 0, apart, distance(1e-5))
    loss = _loss(net, batch)
    yield Fact(f"{which}: its slice at 0 is its loss", "definition", loss, _at(net, batch, along, 0.0), EXACT)
    scaled = stretched(net)
    along_scaled = slices.direction(scaled, seed=0, draw=0)
    for a in SHARES:
        expected, measured = _at(net, batch, along, a), _at(scaled, batch, along_scaled, a)
        law = f"{which}: loss at {a:g} of its slice when each filter is 0.5 to 2 times as long"
        yield Fact(law, INVARIANCE, expected, measured, share(1e-4))


@torch.no_grad()
def stretched(net: nn.Module) -> nn.Module:
    """A copy whose every filter of every convolution is 0.5 to 2 times as long: with BatchNorm the same function."""
    made, draw = copy_of(net, bn="train"), torch.Generator().manual_seed(0)
    for module in made.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.mul_(4 ** (torch.rand(len(module.weight), 1, 1, 1, generator=draw) - 0.5))
    return made


def _at(net: nn.Module, batch: ProbeBatch, along: slices.Direction, a: float) -> float:
    return slices.line(net, along, [a], lambda there: _loss(there, batch))[0]


@torch.no_grad()
def _loss(net: nn.Module, batch: ProbeBatch) -> float:
    """With the batch's statistics."""
    return F.cross_entropy(copy_of(net, bn="train")(batch.images).double(), batch.labels).item()


def _parabola() -> Iterator[Fact]:
    """A diagonal matrix of 2,000 known eigenvalues, one of them alone at the top, one below zero."""
    values = np.concatenate([np.linspace(-1, 10, 1998), [31.0, 57.0]])[::-1].copy()

    def product(v: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
        return values * v

    found = curvature.top(product, len(values), count=3, tolerance=1e-6)
    for rank, one in enumerate(found):
        law = f"a parabola of 2,000 known curvatures: number {rank + 1}"
        yield Fact(law, "Lanczos", float(values[rank]), one.value, share(1e-4))
    law = "heavy ball, lr 0.1, momentum 0.9: the largest curvature at which it is stable"
    measured = curvature.threshold(lr=0.1, momentum=0.9, nesterov=False)
    yield Fact(law, "eigenvalues of a step", _stable(0.1, 0.9), measured, share(1e-4))


def _stable(lr: float, momentum: float) -> float:
    """The largest curvature at which the iteration's matrix has no eigenvalue beyond 1, by bisection."""
    low, high = 0.0, 100.0 / lr
    for _ in range(60):
        middle = (low + high) / 2
        step = np.array([[1 + momentum - lr * middle, -momentum], [1.0, 0.0]])
        grows = np.abs(np.linalg.eigvals(step)).max() > 1 + 1e-12
        low, high = (low, middle) if grows else (middle, high)
    return low


def _hessian() -> Iterator[Fact]:
    """ResNet-8-A on 8 x 8 pixels in double precision, the images' statistics taken as constants (eval mode)."""
    net, batch = real_net("identity", 8, "data.size=8", "width=4", EPS), smooth_images(64, 3, 8, classes=10, seed=0)
    ours = _of(net, batch)
    v = np.random.Generator(np.random.PCG64(0)).normal(size=ours.size)
    v /= np.linalg.norm(v)
    difference = (_slope(net, batch, STEP * v) - _slope(net, batch, -STEP * v)) / (2 * STEP)
    apart = float(np.linalg.norm(ours(v) - difference) / np.linalg.norm(difference))
    law = "Hessian times a vector, furthest from differences of gradients (relative)"
    yield Fact(law, "Pearlmutter 1994", 0, apart, distance(1e-4))
    scaled = copy_of(net, bn="eval")
    with torch.no_grad():
        for module in scaled.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(SCALE)
    one, other = _tops(ours, net), _tops(_of(scaled, batch), net)
    law = "top eigenvalue at 2 W over that at W"
    expected = 1 / SCALE**2
    yield Fact(f"{law}: convolutions' block of H", INVARIANCE, expected, other[0] / one[0], share(1e-4))
    yield Fact(f"{law}: D H D, D = filter norms", INVARIANCE, 1, other[1] / one[1], share(1e-4))


def _of(net: nn.Module, batch: ProbeBatch) -> curvature.Hessian:
    images = batch.images.double()
    made = settled(copy_of(net, bn="frozen").double(), images, bn="frozen")
    return curvature.Hessian(made, images, batch.labels, chunk=32)


def _slope(net: nn.Module, batch: ProbeBatch, step: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
    """The gradient at the weights + step, of the same statistics as without the step."""
    images = batch.images.double()
    made = settled(copy_of(net, bn="frozen").double(), images, bn="frozen")
    weights, parts = list(made.parameters()), torch.from_numpy(step).split([w.numel() for w in made.parameters()])
    with torch.no_grad():
        for weight, part in zip(weights, parts, strict=True):
            weight.add_(part.reshape(weight.shape))
    slopes = torch.autograd.grad(F.cross_entropy(made(images), batch.labels), weights)
    return torch.cat([slope.reshape(-1) for slope in slopes]).numpy()


def _tops(hessian: curvature.Hessian, net: nn.Module) -> tuple[float, float]:
    """Of the block of the convolutions, and of D H D."""
    block = np.concatenate([np.full(w.numel(), float(w.dim() == 4)) for w in net.parameters()])
    products = (lambda v: block * hessian(block * v), hessian.normalised)
    raw, normalised = (curvature.top(product, hessian.size, count=1, tolerance=1e-6)[0] for product in products)
    return raw.value, normalised.value
