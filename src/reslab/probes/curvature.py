"""Sharpest directions of a trained net: top eigenvalues of the loss's Hessian, as it is and filter by filter."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from scipy.special import ndtri
from torch import Tensor, nn
from torch.nn import functional as F

from reslab import streams
from reslab.probes.slices import filter_norms

Product = Callable[[Float64[np.ndarray, " p"]], Float64[np.ndarray, " p"]]
"""A symmetric matrix, known by what it makes of a vector."""


@dataclass(frozen=True)
class Eigen:
    """One eigenvalue; `residual` is |Hv - value v| of its unit vector, so a true eigenvalue is no further away."""

    value: float
    residual: float


def top(product: Product, size: int, *, count: int, tolerance: float) -> list[Eigen]:
    """The `count` largest eigenvalues of a symmetric matrix of this size, largest first, by Lanczos (ARPACK).

    Krylov vectors are orthogonalised against all earlier ones. Each is as near as `tolerance` times itself, if the
    product is as exact as that; nan where a product is not finite, or where nothing converged. The start is always
    the same vector. ValueError unless 1 <= count < size.
    """
    if not 1 <= count < size:
        raise ValueError(f"values={count} is not from 1 to {size - 1}, the number of parameters less one")
    start = ndtri(streams.uniform(size, "curvature", "start"))
    if not np.isfinite(product(start)).all():
        return [Eigen(math.nan, math.nan)] * count
    operator = LinearOperator((size, size), matvec=lambda v: product(v.reshape(-1)), dtype=np.float64)
    try:
        values, vectors = eigsh(operator, k=count, which="LA", v0=start, tol=tolerance)
    except ArpackNoConvergence as stopped:
        values, vectors = stopped.eigenvalues, stopped.eigenvectors
    residuals = [float(np.linalg.norm(product(v) - value * v)) for value, v in zip(values, vectors.T, strict=True)]
    found = [Eigen(float(value), residual) for value, residual in zip(values, residuals, strict=True)]
    found.sort(key=lambda one: -one.value)
    return [*found, *[Eigen(math.nan, math.nan)] * (count - len(found))]


class Hessian:
    """Of the mean cross-entropy of a net on these images, over all its parameters: products with vectors.

    The net is used in the precision and mode that it has, and is not changed; in eval mode no image's loss depends
    on another, so the images go through in chunks whose products are added in fp64.
    """

    def __init__(
        self, net: nn.Module, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"], *, chunk: int
    ) -> None:
        """`chunk` images share a pass; in train mode it must be all of them."""
        self._net, self._images, self._labels, self._chunk = net, images, labels, chunk
        self.weights: dict[str, nn.Parameter] = dict(net.named_parameters())
        self.size = sum(weight.numel() for weight in self.weights.values())
        self.products = 0
        """How many have been made."""

    @torch.no_grad()
    def loss(self) -> float:
        """The mean cross-entropy in nats."""
        chunks = zip(self._images.split(self._chunk), self._labels.split(self._chunk), strict=True)
        found = [F.cross_entropy(self._net(images).double(), labels, reduction="sum") for images, labels in chunks]
        return float(sum(found)) / len(self._labels)

    def scales(self) -> Float64[np.ndarray, " p"]:
        """The diagonal of D: every weight's filter norm, zero for scales, shifts and biases, as in slices."""
        return self._flat({name: filter_norms(w).expand_as(w) for name, w in self.weights.items()})

    def __call__(self, vector: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
        """H v, by differentiating the gradient's product with v (Pearlmutter 1994)."""
        self.products += 1
        along = self._shaped(vector)
        total = np.zeros(self.size)
        weights = list(self.weights.values())
        for images, labels in zip(self._images.split(self._chunk), self._labels.split(self._chunk), strict=True):
            loss = F.cross_entropy(self._net(images), labels, reduction="sum") / len(self._labels)
            slopes = torch.autograd.grad(loss, weights, create_graph=True)
            slope = torch.stack([(g * v).sum() for g, v in zip(slopes, along, strict=True)]).sum()
            bends = torch.autograd.grad(slope, weights, materialize_grads=True)
            total += self._flat(dict(zip(self.weights, bends, strict=True)))
        return total

    def normalised(self, vector: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
        """D H D v: curvature against steps in units of the filters' own lengths, which BatchNorm makes comparable."""
        scales = self.scales()
        return scales * self(scales * vector)

    def _shaped(self, vector: Float64[np.ndarray, " p"]) -> list[Tensor]:
        sizes = [weight.numel() for weight in self.weights.values()]
        parts = torch.from_numpy(vector).split(sizes)
        return [part.reshape(w.shape).to(w) for part, w in zip(parts, self.weights.values(), strict=True)]

    def _flat(self, parts: Mapping[str, Tensor]) -> Float64[np.ndarray, " p"]:
        return torch.cat([part.detach().double().reshape(-1) for part in parts.values()]).cpu().numpy()


def threshold(*, lr: float, momentum: float, nesterov: bool) -> float:
    """The largest curvature at which gradient descent with momentum is stable on a parabola.

    2 (1 + m) / lr with a heavy ball, 2 (1 + m) / ((1 + 2 m) lr) with Nesterov's (Cohen et al. 2021).
    """
    return 2 * (1 + momentum) / lr / (1 + 2 * momentum if nesterov else 1)
