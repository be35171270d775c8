"""Slices and curvature of the runs of the main context: statistics of every slice, eigenvalues per net; no torch."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import polars as pl

ROUNDING, LEAST = 1e-5, 1e-7
"""Of a loss in fp32, and in nats: what bends or dips by less than both together is straight."""
FIRST, SECOND = 1, 2
"""Subsets of the images: the slice, and the same on other images, which says what of it is noise."""
NUMBERS = ("centre", "basin", "basin_again", "bent", "minima", "repeated", "noise")
"""What `shapes` says of a slice."""


def basin(shares: Sequence[float], losses: Sequence[float], level: float) -> float:
    """The part of the slice's length on which the loss is below `level`, straight lines between its points."""
    inside = 0.0
    for (left, low), (right, high) in pairwise(zip(shares, map(_known, losses), strict=True)):
        low, high = sorted((low, high))
        if low < level:
            inside += (right - left) * min((level - low) / (high - low) if high > low else 1.0, 1.0)
    return inside / (shares[-1] - shares[0])


def bent(losses: Sequence[float], level: float) -> float | None:
    """Of the points whose loss and whose neighbours' are below `level`, the share at which the slice is not convex.

    None where there is no such point. Rounding is no bend.
    """
    triples = [three for three in _triples(losses) if max(three) < level]
    curved = [2 * here - low - high > _straight(here) for low, here, high in triples]
    return sum(curved) / len(curved) if curved else None


def minima(losses: Sequence[float]) -> list[int]:
    """The points, but the ends, that lie below both neighbours by more than rounding."""
    return [at for at, (low, here, high) in enumerate(_triples(losses), 1) if min(low, high) - here > _straight(here)]


def noise(losses: Sequence[float], again: Sequence[float], level: float) -> float | None:
    """Median distance in nats of two subsets' losses where both are below `level`; None where they never are."""
    pairs = [(one, other) for one, other in zip(losses, again, strict=True) if max(_known(one), _known(other)) < level]
    return median(abs(one - other) for one, other in pairs) if pairs else None


def shapes(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """One row for each slice (value of `by`, kind of statistics, direction) with its NUMBERS.

    centre is the loss at 0; basin and basin_again (on the second subset) are shares of [-1, 1], bent a share of the
    points inside; minima is how many there are, repeated how many of them lie within one point of one on the second
    subset; noise in nats.
    """
    lines = []
    for key, own in rows.group_by(*by, "statistics", "direction", maintain_order=True):
        one, two = (own.filter(pl.col("subset") == which).sort("at") for which in (FIRST, SECOND))
        shares, losses, again, level = (*map(list, (one["at"], one["loss"], two["loss"])), own["level"][0])
        here, there = minima(losses), minima(again)
        lines.append(
            {
                **dict(zip((*by, "statistics", "direction"), key, strict=True)),
                "centre": losses[shares.index(0.0)],
                "basin": basin(shares, losses, level),
                "basin_again": basin(shares, again, level),
                "bent": bent(losses, level),
                "minima": len(here),
                "repeated": sum(any(abs(at - other) <= 1 for other in there) for at in here),
                "noise": noise(losses, again, level),
            }
        )
    types: dict[str, Any] = {name: rows.schema[name] for name in (*by, "statistics", "direction")}
    types |= {name: pl.Int64 if name in ("minima", "repeated") else pl.Float64 for name in NUMBERS}
    return pl.DataFrame(lines, schema=types)


def spread(found: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Median, least and most of each of the NUMBERS over directions (and seeds), with `n` slices, for `by`."""
    columns: list[Any] = [pl.len().alias("n")]
    for name in NUMBERS:
        value = pl.col(name).cast(pl.Float64)
        columns += [value.median().alias(name), value.min().alias(f"{name}_low"), value.max().alias(f"{name}_high")]
    return found.group_by(*by, "statistics", maintain_order=True).agg(columns)


def sharpness(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Of the largest eigenvalue of each kind: median, least and most over runs, largest residual, `threshold`, `n`."""
    value = pl.col("eigenvalue")
    largest = {"median": value.median(), "low": value.min(), "high": value.max(), "residual": pl.col("residual").max()}
    largest["threshold"] = pl.col("threshold").first()
    first = rows.filter(pl.col("rank") == 1)
    return first.group_by(*by, "kind", maintain_order=True).agg(**largest, n=pl.len())


def _straight(loss: float) -> float:
    return ROUNDING * loss + LEAST


def _triples(losses: Sequence[float]) -> list[tuple[float, float, float]]:
    known = [_known(loss) for loss in losses]
    return list(zip(known, known[1:], known[2:], strict=False))


def _known(loss: float | None) -> float:
    """A loss that is not finite is above every level."""
    return loss if loss is not None and math.isfinite(loss) else math.inf
