"""The loss slices of a finished run: random directions, on training images, and the same on other ones of them."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from math import log
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reslab.analysis.landscape import FIRST, NUMBERS, SECOND, shapes
from reslab.data.module import Part
from reslab.data.normalise import Normalisation
from reslab.data.split import stratified
from reslab.launch.padded import training_images
from reslab.launch.probing.pace import Pace
from reslab.probes.slices import direction, moved, places
from reslab.runs.studies import schema
from reslab.training.evaluate import evaluate, with_fresh_statistics

WHOLE = ("points", "directions", "images")
Loss = Callable[[nn.Module], float]


def study(
    net: nn.Module, normalisation: Normalisation, config: Mapping[str, Any], asked: Mapping[str, Any], out: Console
) -> pl.DataFrame:
    """Rows of study `slices` for one trained net; `asked` has points, directions, seed and images."""
    shares, level = places(asked["points"]), log(config["data"]["classes"])
    parts = dict(
        zip((FIRST, SECOND), halves(training_images(config), asked["images"], seed=asked["seed"]), strict=True)
    )
    ways = losses(normalisation, config)
    if not any(isinstance(module, _BatchNorm) for module in net.modules()):
        del ways["retaken"]
    rows: list[tuple[Any, ...]] = []
    with Pace(out, float(len(shares) * asked["directions"]), f"{len(shares) * asked['directions']} places") as pace:
        for draw in range(asked["directions"]):
            along = direction(net, seed=asked["seed"], draw=draw)
            for share in shares:
                there = moved(net, along, share)
                for way, loss in ways.items():
                    for which, own in parts.items():
                        rows.append((draw, way, which, share, loss(own)(there), level, len(own)))
                pace.step(1.0, f"direction {draw + 1}")
    return pl.DataFrame(rows, schema=schema("slices"), orient="row")


def halves(images: Part, count: int, *, seed: int) -> tuple[Part, Part]:
    """Two subsets of `count` images that share none, as many of each class; half of all each, where there are fewer."""
    size = min(count, len(images) // 2)
    rest, first = stratified(images.labels.numpy(), size, seed, "slices")
    others = images.select(rest)
    if len(others) > size:
        _, second = stratified(others.labels.numpy(), size, seed, "slices, once more")
        others = others.select(second)
    return images.select(first), others


def losses(normalisation: Normalisation, config: Mapping[str, Any]) -> dict[str, Callable[[Part], Loss]]:
    """Two ways to measure a net on images, fp32: `raw` as it is, `retaken` with statistics of these same images."""
    size, batch = config["evaluation"]["batch"], config["recipe"]["batch"]

    def raw(part: Part) -> Loss:
        def loss(net: nn.Module) -> float:
            score = evaluate(net, part.images, part.labels, normalise=normalisation, batch=size, precision=nullcontext)
            return score.cross_entropy

        return loss

    def retaken(part: Part) -> Loss:
        def loss(net: nn.Module) -> float:
            fresh = with_fresh_statistics(net, part.images, normalise=normalisation, batch=batch, precision=nullcontext)
            return raw(part)(fresh)

        return loss

    return {"raw": raw, "retaken": retaken}


def said(rows: pl.DataFrame) -> Table:
    """The numbers of every slice."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("statistics")
    for column in (
        "direction",
        "loss at 0",
        "basin % (other images)",
        "not convex %",
        "minima (found again)",
        "noise, nats",
    ):
        shown.add_column(column, justify="right")
    for row in shapes(rows).iter_rows(named=True):
        inside = "" if row["bent"] is None else f"{100 * row['bent']:.1f}"
        noise = "" if row["noise"] is None else f"{row['noise']:.2g}"
        cells = (f"{100 * row['basin']:.1f} ({100 * row['basin_again']:.1f})", inside)
        minima = f"{row['minima']} ({row['repeated']})"
        shown.add_row(row["statistics"], str(row["direction"]), f"{row['centre']:.3g}", *cells, minima, noise)
    return shown


def summary(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The numbers of every slice."""
    return shapes(rows).select("statistics", "direction", *NUMBERS).to_dicts()
