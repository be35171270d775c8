"""Linear probes: what a linear reader finds in the features of the stem and of every unit (Kornblith et al. 2019)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.probes.addresses import units, watched
from reslab.probes.copies import copy_of

STRENGTHS = tuple(10 ** (k / 2) for k in range(-20, 5))
"""Penalties that are tried, from 1e-10 to 100, in units of the variance of a standardised feature."""
HEAD = "head"
"""The net's own classifier, among layers."""
ROUNDING = torch.finfo(torch.float32).eps  # of a feature's mean: what varies by less is constant

Batches = Iterable[tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]]
"""Normalised images with their labels."""


@dataclass(frozen=True)
class Moments:
    """Of features and one-hot targets: all that a ridge regression needs, whatever the number of images."""

    n: int
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]
    """Sum over images of products of centred features."""
    cross: Float64[Tensor, "d k"]
    """The same of centred features with centred targets."""
    shares: Float64[Tensor, " k"]
    """Mean targets: the share of each class."""

    def merged(self, other: "Moments") -> "Moments":
        """Of the images of both (Chan et al. 1983), without the cancellation that sums of squares suffer."""
        n = self.n + other.n
        mean, shares = other.mean - self.mean, other.shares - self.shares
        between = self.n * other.n / n
        return Moments(
            n,
            self.mean + mean * (other.n / n),
            self.scatter + other.scatter + between * torch.outer(mean, mean),
            self.cross + other.cross + between * torch.outer(mean, shares),
            self.shares + shares * (other.n / n),
        )


@dataclass(frozen=True)
class Probe:
    """A linear reader of raw features; `strength` is its penalty, nan where it could not be fitted."""

    weight: Float64[Tensor, "d k"]
    bias: Float64[Tensor, " k"]
    strength: float

    def __call__(self, features: Float64[Tensor, "n d"]) -> Float64[Tensor, "n k"]:
        """Scores of the classes."""
        return features @ self.weight + self.bias


def moments(features: Float64[Tensor, "n d"], labels: Int64[Tensor, " n"], *, classes: int) -> Moments:
    """Of one batch of images."""
    targets = F.one_hot(labels, classes).double()
    mean, shares = features.mean(0), targets.mean(0)
    centred = features - mean
    return Moments(len(labels), mean, centred.T @ centred, centred.T @ (targets - shares), shares)


def ridge(
    gram: Float64[Tensor, "d d"], cross: Float64[Tensor, "d k"], *, variance: float, n: int, strengths: Sequence[float]
) -> tuple[Float64[Tensor, "d k"], float]:
    """Weights (gram + strength I)^-1 cross, and the strength of least generalised cross-validation error.

    `gram` and `cross` are means over `n` images of products of centred features, and of these with centred targets,
    of `variance` E|y|². That error is the mean squared residual over (1 - df / n)², with the intercept among the
    degrees of freedom df (Golub, Heath and Wahba 1979): it estimates the error on new images from the images of the
    fit alone, and turning the features does not change it. On a tie the weakest.
    """
    values, vectors = torch.linalg.eigh(gram)
    values, turned = values.clamp_min(0), vectors.T @ cross
    size = turned.square().sum(1)
    scores = []
    for strength in strengths:
        shrunk = values + strength
        residual = variance - (size * (2 / shrunk - values / shrunk.square())).sum().item()
        free = 1 + (values / shrunk).sum().item()
        scores.append(max(residual, 0.0) / (1 - free / n) ** 2)
    best = strengths[min(range(len(scores)), key=scores.__getitem__)]
    return vectors @ (turned / (values + best)[:, None]), best


def fit(found: Moments, *, strengths: Sequence[float] = STRENGTHS) -> Probe:
    """Ridge regression of one-hot targets on standardised features, in closed form; the intercept is not penalised.

    A feature that is constant is left out. Where a feature is not finite on some image, so is no score of the probe.
    """
    spread = (found.scatter.diagonal() / found.n).sqrt()
    varies = spread > ROUNDING * found.mean.abs()
    if not all(torch.isfinite(part).all() for part in (found.mean, found.scatter, found.cross)):
        return Probe(torch.full_like(found.cross, torch.nan), torch.full_like(found.shares, torch.nan), torch.nan)
    inverse = torch.where(varies, 1 / spread, 0)
    gram = inverse[:, None] * found.scatter * inverse / found.n
    variance = (found.shares * (1 - found.shares)).sum().item()
    weight, strength = ridge(
        gram, inverse[:, None] * found.cross / found.n, variance=variance, n=found.n, strengths=strengths
    )
    weight = inverse[:, None] * weight
    return Probe(weight, found.shares - found.mean @ weight, strength)


def linear_probes(net: nn.Module, batches: Batches, *, classes: int) -> Mapping[str, Probe]:
    """A probe for the stem and one for every unit, by address, fitted on these images.

    Features are means over pixels of what the layer puts out, of an fp32 copy in eval mode. They are not kept: memory
    does not grow with the number of images. ValueError for no images.
    """
    measured, found = copy_of(net, bn="eval"), dict[str, Moments]()
    for images, labels in batches:
        for layer, features in _read(measured, images)[0].items():
            new = moments(features, labels, classes=classes)
            found[layer] = found[layer].merged(new) if layer in found else new
    if not found:
        raise ValueError("there are no images to fit probes on")
    return {layer: fit(own) for layer, own in found.items()}


def errors(net: nn.Module, probes: Mapping[str, Probe], batches: Batches) -> dict[str, float]:
    """Share of wrong images of every probe, and of the net itself (HEAD); ValueError for no images.

    As in evaluation, an image whose scores are not finite counts as wrong.
    """
    measured, wrong, n = copy_of(net, bn="eval"), dict.fromkeys((*probes, HEAD), 0), 0
    for images, labels in batches:
        features, logits = _read(measured, images)
        n += len(labels)
        scores = {layer: probe(features[layer]) for layer, probe in probes.items()} | {HEAD: logits}
        for layer, own in scores.items():
            wrong[layer] += int(((own.argmax(1) != labels) | ~torch.isfinite(own).all(1)).sum())
    if n == 0:
        raise ValueError("there are no images to measure probes on")
    return {layer: count / n for layer, count in wrong.items()}


@torch.no_grad()
def _read(
    net: nn.Module, images: Float[Tensor, "n c h w"]
) -> tuple[dict[str, Float64[Tensor, "n d"]], Float[Tensor, "n k"]]:
    """Pooled features by layer, and logits."""
    found: dict[str, Tensor] = {}

    def pool(layer: str, h: Tensor) -> None:
        found[layer] = h.mean((2, 3), dtype=torch.float64)

    watch = watched({"stem": net.get_submodule("stem"), **units(net)}, pool)
    with watch, torch.autocast(images.device.type, enabled=False):
        logits = net(images)
    return found, logits
