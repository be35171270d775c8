"""What a probe says, and what it is shown."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor


class Reading(NamedTuple):
    """One number: of which layer (an address such as trunk.0.3), which statistic, and its standard error."""

    layer: str
    statistic: str
    value: float
    error: float | None
    """Over the chunks of the probe batch; None where there is one chunk, or where nothing was sampled."""


class ProbeBatch(NamedTuple):
    """Normalised images without augmentation, and how many of them share a forward pass and BatchNorm's statistics."""

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    chunk: int

    def chunks(self) -> list[tuple[Float[Tensor, "k c h w"], Int64[Tensor, " k"]]]:
        """Full chunks alone, or all images where they are fewer than one chunk: statistics of equally many images."""
        whole = min(self.chunk, len(self.labels))
        pairs = zip(self.images.split(whole), self.labels.split(whole), strict=True)
        return [(images, labels) for images, labels in pairs if len(labels) == whole]


def over_chunks(found: Iterable[Mapping[tuple[str, str], float]]) -> list[Reading]:
    """Mean over chunks of each (layer, statistic), with the standard error of that mean."""
    rows = list(found)
    return [Reading(layer, statistic, *_mean([row[layer, statistic] for row in rows])) for layer, statistic in rows[0]]


def _mean(values: list[float]) -> tuple[float, float | None]:
    n, mean = len(values), sum(values) / len(values)
    if n == 1:
        return mean, None
    squares = sum((value - mean) * (value - mean) for value in values)  # of inf: nan, not an error as ** would be
    return mean, math.sqrt(squares / (n - 1) / n) if squares >= 0 else math.nan
