"""Update geometry: known rotations, the equilibrium of a weight whose length does not matter, steps of real nets."""

import math
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.launch.verify.fact import EXACT, Fact, distance, share
from reslab.launch.verify.real import real_net, smooth
from reslab.launch.verify.toy import value
from reslab.probes import geometry, signal
from reslab.probes.reading import ProbeBatch, Reading

WAN, INVARIANCE = "Wan et al. 2021", "scale invariance"
HES = {"lr": 0.1, "weight_decay": 1e-4, "momentum": 0.9}
TOY = {"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9}


def facts() -> Iterator[Fact]:
    """The probe on weights whose motion is known, then on a net whose BatchNorms make weights scale-invariant."""
    yield from _rotations()
    yield from _equilibrium()
    yield from _invariance()


def _rotations() -> Iterator[Fact]:
    """Four weights: two turn by a known angle, two by less than a tenth of the equilibrium angle."""
    draw = torch.Generator().manual_seed(0)
    angles = {"a": 0.5, "b": 0.004, "c": 1e-4, "d": 0.0}
    before = {name: torch.randn(16, 9, 3, 3, generator=draw, dtype=torch.float64) for name in angles}
    gradients = {name: 3 * weight / weight.norm() for name, weight in before.items()}
    after = {name: 1.25 * rotated(before[name], angle, draw) for name, angle in angles.items()}
    initial = {name: weight.norm().item() / 2 for name, weight in before.items()}
    found = geometry.update_geometry(before, after, gradients, initial=initial, **HES)
    for name in ("a", "b", "c"):
        law = f"a rotation by {angles[name]:g} rad"
        yield Fact(law, "definition", angles[name], value(found, name, "angle"), share(1e-6))
    expected = 3 / before["a"].norm().item()
    yield Fact(
        "||g|| / ||W|| of a known pair", "definition", expected, value(found, "a", "relative_gradient"), share(1e-6)
    )
    yield Fact("||W|| 2.5 times its first length", "definition", 2.5, value(found, "a", "norm_growth"), share(1e-6))
    yield Fact(
        "freeze index: two of four weights lie still", "definition", 0.5, value(found, "trunk", "freeze_index"), EXACT
    )
    expected = math.sqrt(2 * 0.1 * 1e-4 / 1.9)
    measured = value(found, "trunk", "equilibrium_angle")
    yield Fact("equilibrium angle of He's recipe, rad", WAN, expected, measured, share(1e-6))


def rotated(weight: Float[Tensor, "..."], angle: float, draw: torch.Generator) -> Float[Tensor, "..."]:
    """The weight turned by so many radians in a random plane, as long as before."""
    other = across(torch.randn(weight.shape, generator=draw, dtype=weight.dtype), weight)
    return math.cos(angle) * weight + math.sin(angle) * weight.norm() * other / other.norm()


def across(vector: Float[Tensor, "..."], weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The part of a vector that is orthogonal to the weight."""
    return vector - (vector * weight).sum() / weight.square().sum() * weight


def _equilibrium() -> Iterator[Fact]:
    """Random gradients as a loss gives them that does not feel the length of W: orthogonal to W, and 1 / ||W||."""
    draw = torch.Generator().manual_seed(0)
    weights = {f"toy{at}": nn.Parameter(torch.randn(32, 16, 3, 3, generator=draw)) for at in range(4)}
    optimiser = torch.optim.SGD(
        weights.values(), lr=TOY["lr"], momentum=TOY["momentum"], weight_decay=TOY["weight_decay"]
    )
    initial, seen = {name: weight.norm().item() for name, weight in weights.items()}, []
    for step in range(1200):
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        for weight in weights.values():
            noise = across(torch.randn(weight.shape, generator=draw), weight.detach())
            weight.grad = noise / noise.norm() / weight.detach().norm()
        optimiser.step()
        if step >= 1000:
            gradients = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
            seen.append(geometry.update_geometry(before, _now(weights), gradients, initial=initial, **TOY))
    turned = [value(one, name, "angle_over_equilibrium") for one in seen for name in weights]
    law = "random gradients, SGD with momentum and weight decay: angle / sqrt(2 lr wd / (1 + m))"
    yield Fact(law, WAN, 1, sum(turned) / len(turned), share(0.05))
    angle = math.sqrt(2 * TOY["lr"] * TOY["weight_decay"] / (1 + TOY["momentum"]))
    turned = [value(one, name, "angle") for one in seen for name in weights]
    yield Fact("the same in rad", WAN, angle, sum(turned) / len(turned), share(0.05))


def _invariance() -> Iterator[Fact]:
    """plain-20 in training: a BatchNorm follows every convolution.

    Its eps, which alone feels the length of W, is made small: with 1e-5 gradients differ by 0.4 %.
    """
    net, batch, scale, lr = real_net("none", 20, "norm.eps=1e-9"), smooth(64, seed=0), 2.0, 0.5
    weights = {name: module.weight for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    loss, gradients = _loss(net, batch, weights)
    cosines = [F.cosine_similarity(weights[n].flatten(), g.flatten(), dim=0).item() for n, g in gradients.items()]
    law = "a convolution before BatchNorm: largest cosine of W and dL/dW"
    yield Fact(law, INVARIANCE, 0, max(map(abs, cosines)), distance(1e-5))
    norms = signal.by_layer(signal.signal_propagation(net, batch, bn="train"), "weight_gradient_norm")
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    optimiser = torch.optim.SGD(weights.values(), lr=lr)
    optimiser.step()
    found = geometry.update_geometry(
        before, _now(weights), gradients, initial=geometry.norms(before), lr=lr, weight_decay=0.0, momentum=0.0
    )
    yield from _pythagoras(found, list(weights), lr)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(scale * before[name])
    scaled = signal.by_layer(signal.signal_propagation(net, batch, bn="train"), "weight_gradient_norm")
    ratio = max((scaled[name] / norms[name] for name in weights), key=lambda r: abs(r - 1 / scale))
    yield Fact(
        "||dL/dW|| at 2 W over that at W, furthest", INVARIANCE, 1 / scale, ratio, share(5e-3)
    )  # BatchNorm's eps
    yield Fact("loss at 2 W", INVARIANCE, loss, _loss(net, batch, weights)[0], share(1e-5))


def _pythagoras(found: list[Reading], names: list[str], lr: float) -> Iterator[Fact]:
    """A step at right angles: tan(angle) = lr ||g|| / ||W||, and the new length is the hypotenuse."""
    angles, lengths = [], []
    for name in names:
        step = lr * value(found, name, "relative_gradient")
        angles.append(value(found, name, "angle") / math.atan(step))
        lengths.append(value(found, name, "norm_growth") / math.hypot(1, step))
    law = "a step of SGD on plain-20: angle / atan(lr ||g|| / ||W||), furthest"
    yield Fact(law, INVARIANCE, 1, _furthest(angles), share(1e-4))
    yield Fact(
        "the same step: growth / sqrt(1 + tan(angle)^2), furthest", INVARIANCE, 1, _furthest(lengths), share(1e-4)
    )


def _furthest(ratios: list[float]) -> float:
    return max(ratios, key=lambda ratio: abs(ratio - 1))


def _loss(net: nn.Module, batch: ProbeBatch, weights: Mapping[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
    """The training loss, and gradients that also stand at the weights."""
    net.train()
    loss = F.cross_entropy(net(batch.images), batch.labels)
    net.zero_grad()
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in weights.items() if weight.grad is not None}


def _now(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach() for name, weight in weights.items()}
