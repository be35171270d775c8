"""The curvature of a finished run: top eigenvalues of its loss's Hessian, as it is and filter-normalised."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float64
from rich.console import Console
from rich.table import Table
from torch import nn

from reslab.data.normalise import Normalisation
from reslab.launch.construct import construct
from reslab.launch.padded import calibration, training_images
from reslab.launch.probing.pace import Pace
from reslab.probes.copies import copy_of
from reslab.probes.curvature import Hessian, Product, threshold, top
from reslab.runs.studies import schema
from reslab.training import schedule

WHOLE = ("values", "images")
KINDS = {"raw": "H", "filter": "D H D, D = filter norms"}
CHUNK = 128  # images in one pass: second derivatives keep several times what training keeps
EXPECTED = 25  # products that Lanczos asks for, by experience, of one kind


def study(
    net: nn.Module, normalisation: Normalisation, config: Mapping[str, Any], asked: Mapping[str, Any], out: Console
) -> pl.DataFrame:
    """Rows of study `curvature` for one trained net; `asked` has values, tolerance, images and seed."""
    tolerance = asked["tolerance"]
    if not isinstance(tolerance, float) or not 0 < tolerance < 1:
        raise ValueError(f"tolerance={tolerance} is not between 0 and 1; use tolerance=1e-3")
    part = calibration(training_images(config), asked["images"], split_seed=asked["seed"])
    images = normalisation(part.images).contiguous(memory_format=torch.channels_last)
    hessian = Hessian(copy_of(net, bn="eval"), images, part.labels, chunk=CHUNK)
    loss, stable = hessian.loss(), stability(config)
    rows: list[tuple[Any, ...]] = []
    with Pace(out, float(len(KINDS) * EXPECTED), f"about {len(KINDS) * EXPECTED} products") as pace:
        for kind, product in (("raw", hessian), ("filter", hessian.normalised)):
            counted = _told(product, pace, kind)
            found, before = top(counted, hessian.size, count=asked["values"], tolerance=tolerance), hessian.products
            for rank, one in enumerate(found, 1):
                row = (kind, rank, one.value, one.residual, before, stable, loss, len(part), hessian.size)
                rows.append(row)
            hessian.products = 0
    return pl.DataFrame(rows, schema=schema("curvature"), orient="row")


def stability(config: Mapping[str, Any]) -> float | None:
    """`threshold` at the rate of the last step; None for other optimisers than SGD, steps or rates that have none."""
    recipe, warmup = config["recipe"], config["recipe"]["warmup"]
    optimiser = recipe["optimiser"]
    if "momentum" not in optimiser or "nesterov" not in optimiser or "update" in config["intervention"]:
        return None
    factor = schedule.factor(
        recipe["steps"] - 1,
        steps=recipe["steps"],
        shape=construct(recipe["schedule"], config["trust"]),
        warmup=warmup["steps"],
        warmup_factor=warmup["factor"],
    )
    lr = recipe["lr"] * factor
    return threshold(lr=lr, momentum=optimiser["momentum"], nesterov=optimiser["nesterov"]) if lr > 0 else None


def said(rows: pl.DataFrame) -> Table:
    """Every eigenvalue, beside what SGD can stand."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("Hessian")
    for column in ("rank", "eigenvalue", "residual", "products", "stable below"):
        shown.add_column(column, justify="right")
    for row in rows.iter_rows(named=True):
        limit = f"{row['threshold']:.4g}" if row["kind"] == "raw" and row["threshold"] is not None else ""
        numbers = [f"{row[name]:.4g}" if isfinite(row[name]) else "none" for name in ("eigenvalue", "residual")]
        shown.add_row(KINDS[row["kind"]], str(row["rank"]), *numbers, str(row["products"]), limit)
    return shown


def summary(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Every eigenvalue."""
    return rows.to_dicts()


def _told(product: Product, pace: Pace, kind: str) -> Product:
    left = [EXPECTED]

    def told(vector: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
        made = product(vector)
        pace.step(float(left[0] > 0), kind)
        left[0] -= 1
        return made

    return told
