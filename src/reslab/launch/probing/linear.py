"""The linear probes of a finished run: fitted on training images, their errors measured on test images."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import torch
from jaxtyping import Float, Int64
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from reslab.analysis.depth_use import SHARE, useful
from reslab.data.module import Part, part
from reslab.data.normalise import Normalisation
from reslab.launch.build import read_data
from reslab.launch.padded import calibration, training_images
from reslab.launch.probing.pace import Pace
from reslab.probes.addresses import units
from reslab.probes.linear import HEAD, errors, linear_probes
from reslab.runs.studies import schema

WHOLE = ("train_images", "images")


def study(
    net: nn.Module, normalisation: Normalisation, config: Mapping[str, Any], asked: Mapping[str, Any], out: Console
) -> pl.DataFrame:
    """Rows of study `linear` for one trained net; `asked` has train_images, images and seed."""
    test = part(read_data(config)("test"), torch.device("cpu"))
    test = calibration(test, asked["images"], split_seed=asked["seed"])
    train = calibration(training_images(config), asked["train_images"], split_seed=asked["seed"])
    size = config["evaluation"]["batch"]
    with Pace(out, float(len(train) + len(test)), f"{-(-len(train) // size) - (-len(test) // size)} batches") as pace:

        def shown(images: Part, of: str) -> Iterator[tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]]:
            for chunk, labels in zip(images.images.split(size), images.labels.split(size), strict=True):
                yield normalisation(chunk).contiguous(memory_format=torch.channels_last), labels
                pace.step(float(len(labels)), of)

        probes = linear_probes(net, shown(train, "fitted"), classes=config["data"]["classes"])
        wrong = errors(net, probes, shown(test, "measured"))
    places = {"stem": 0} | {address: at for at, address in enumerate(units(net), 1)}
    rows: list[tuple[Any, ...]] = [
        (layer, places[layer], len(probe.weight), probe.strength, wrong[layer], len(train), len(test))
        for layer, probe in probes.items()
    ]
    rows.append((HEAD, None, None, None, wrong[HEAD], len(train), len(test)))
    return pl.DataFrame(rows, schema=schema("linear"), orient="row")


def said(rows: pl.DataFrame) -> Table:
    """Error of every probe in percent; the first that reads nearly as well as the last is marked."""
    marked = useful(rows)["place"][0]
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("layer")
    for column in ("features", "penalty", "test error %"):
        shown.add_column(column, justify="right")
    shown.add_column("")
    for row in rows.iter_rows(named=True):
        here = row["place"] is not None and row["place"] == marked
        remark = f"{100 * SHARE:g} % of the last's accuracy" if here else ""
        if row["place"] is None:
            shown.add_row("the net itself", "", "", f"{100 * row['error']:.2f}", remark)
        else:
            cells = (str(row["features"]), f"{row['strength']:.1e}", f"{100 * row['error']:.2f}")
            shown.add_row(row["layer"], *cells, remark)
    return shown


def summary(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Which part of the depth is used, and the errors at its ends."""
    return useful(rows).to_dicts()
