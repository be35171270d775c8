"""The lesion study of a finished run: errors of every lesion, as it is and with BatchNorm statistics taken anew."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import polars as pl
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reslab.analysis.lesions import summary as lesion_errors
from reslab.data.module import Part, part
from reslab.data.normalise import Normalisation
from reslab.launch.build import read_data
from reslab.launch.padded import calibration, training_images
from reslab.launch.probing.pace import Pace
from reslab.probes.addresses import units
from reslab.probes.lesion import Lesion, lesions
from reslab.runs.studies import schema
from reslab.training.evaluate import evaluate, with_fresh_statistics

Errors = Mapping[str, Callable[[nn.Module], float]]
WHOLE = ("draws", "images", "fresh_images")
KINDS = {
    "intact": "none",
    "unit": "one unit deleted",
    "number": "random units deleted: {number}",
    "order": "random swaps: {swaps}",
}


def study(
    net: nn.Module, normalisation: Normalisation, config: Mapping[str, Any], asked: Mapping[str, Any], out: Console
) -> pl.DataFrame:
    """Rows of study `lesion` for one trained net; `asked` has draws, seed, images and fresh_images."""
    test = calibration(part(read_data(config)("test"), torch.device("cpu")), asked["images"], split_seed=0)
    train = calibration(training_images(config), asked["fresh_images"], split_seed=0)
    chosen = lesions(net, draws=asked["draws"], seed=asked["seed"])
    ways = errors(normalisation, test, train, config)
    if not any(isinstance(module, _BatchNorm) for module in net.modules()):
        del ways["retaken"]
    return table(net, chosen, ways, len(test), out)


def said(rows: pl.DataFrame) -> Table:
    """Median error in percent, with quartiles, by what was done."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    ways = rows["statistics"].unique(maintain_order=True).to_list()
    for column in ("lesion", *(f"{way}: error % [quartiles]" for way in ways), "n"):
        shown.add_column(column, justify="left" if column == "lesion" else "right")
    for (kind, number, swaps), own in rows.group_by("lesion", "number", "swaps", maintain_order=True):
        cells = {row["statistics"]: row for row in lesion_errors(own, "lesion").iter_rows(named=True)}
        words = [f"{100 * c['median']:.1f} [{100 * c['low']:.1f}, {100 * c['high']:.1f}]" for c in cells.values()]
        shown.add_row(KINDS[str(kind)].format(number=number, swaps=swaps), *words, str(cells[ways[0]]["n"]))
    return shown


def summary(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Median and quartiles by what was done."""
    return lesion_errors(rows, "lesion", "number", "swaps").to_dicts()


def errors(
    normalisation: Normalisation, test: Part, train: Part, config: Mapping[str, Any]
) -> dict[str, Callable[[nn.Module], float]]:
    """Two ways to measure a net, fp32: `raw` as it is, `retaken` with statistics of the training images."""
    batch = config["recipe"]["batch"]

    def raw(net: nn.Module) -> float:
        size = config["evaluation"]["batch"]
        return evaluate(net, test.images, test.labels, normalise=normalisation, batch=size, precision=nullcontext).error

    def retaken(net: nn.Module) -> float:
        return raw(
            with_fresh_statistics(net, train.images, normalise=normalisation, batch=batch, precision=nullcontext)
        )

    return {"raw": raw, "retaken": retaken}


def table(net: nn.Module, chosen: list[Lesion], ways: Errors, images: int, out: Console) -> pl.DataFrame:
    """Every lesion measured in every way; the net is not changed."""
    place = {address: at for at, address in enumerate(units(net), 1)}
    rows: list[tuple[Any, ...]] = []
    with Pace(out, float(len(chosen)), f"{len(chosen)} lesions") as pace:
        for lesion in chosen:
            cut = lesion.of(net)
            unit = lesion.gone[0] if lesion.kind == "unit" else None
            for name, error in ways.items():
                row = (lesion.kind, name, unit, place.get(unit or ""), len(lesion.gone), lesion.draw, lesion.swaps)
                rows.append((*row, lesion.tau, error(cut), images))
            pace.step(1.0, lesion.kind)
    return pl.DataFrame(rows, schema=schema("lesion"), orient="row")
