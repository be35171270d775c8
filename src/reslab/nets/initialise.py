"""All initialisation in one place: each weight from its own stream, keyed by (seed, parameter name).

| parameter                 | value                                             |
|---------------------------|---------------------------------------------------|
| convolution, linear       | a law of variance gain / fan                      |
| norm scale                | 1                                                 |
| every bias and norm shift | 0                                                 |
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from scipy.special import ndtr, ndtri
from torch import nn

from reslab import streams


@dataclass(frozen=True, kw_only=True)
class Law:
    """A distribution of mean 0 and variance gain / fan.

    `shape` is normal, truncated (a normal cut at two standard deviations, then scaled back) or uniform; `fan` is
    in, out or average (of both), counted in weights per output or input.
    """

    shape: str
    gain: float
    fan: str

    def std(self, weight: torch.Tensor) -> float:
        """Standard deviation for this weight of shape (out, in, ...)."""
        fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
        fan = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2}[self.fan]
        return math.sqrt(self.gain / fan)


def initialise(net: nn.Module, *, seed: int, conv: Law, linear: Law) -> None:
    """Set every parameter in place; the result depends on nothing but seed, names and shapes."""
    for address, module in net.named_modules():
        law = conv if isinstance(module, nn.Conv2d) else linear if isinstance(module, nn.Linear) else None
        for name, parameter in module.named_parameters(recurse=False):
            if law is not None and name == "weight":
                u = streams.uniform(parameter.numel(), seed, "init", f"{address}.{name}")
                values = torch.from_numpy(SHAPES[law.shape](u) * law.std(parameter)).view_as(parameter)
                parameter.data.copy_(values)
            elif law is not None or isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm):
                parameter.data.fill_(1.0 if name == "weight" else 0.0)


def _truncated(u: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    low, high = ndtr(-2.0), ndtr(2.0)
    density = math.exp(-2.0) / math.sqrt(2 * math.pi)
    spread = math.sqrt(1 - 4 * density / (high - low))
    return ndtri(low + u * (high - low)) / spread


SHAPES = {"normal": ndtri, "truncated": _truncated, "uniform": lambda u: (2 * u - 1) * math.sqrt(3)}
