"""Lesion studies of the runs of the main context: medians and quartiles, per net; no torch."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.instrument import KEY, looked_at, seeds_said
from reslab.runs.folder import RunFolder
from reslab.runs.studies import read_study, schema

FOUND = {"shortcut": pl.String, "depth": pl.Int64, "seed": pl.Int64}


@dataclass(frozen=True)
class Lesions:
    """Rows of study `lesion`, with shortcut, depth and seed, of the deepest nets that were studied; seeds in words."""

    rows: pl.DataFrame
    said: str


def gathered(answered: Answer) -> Lesions:
    """Of each shortcut, the deepest nets that have a lesion study; a file that cannot be read counts as absent."""
    found = [pl.DataFrame(schema=FOUND | schema("lesion"))]
    for row in looked_at(answered).iter_rows(named=True):
        try:
            read = read_study(RunFolder(Path(str(row["folder"]))), "lesion")
        except ValueError:
            continue
        key = [pl.lit(row[name], dtype=FOUND[name]).alias(name) for name in KEY]
        found.append(read.select(*key, *schema("lesion")))
    rows = pl.concat(found)
    rows = rows.filter(pl.col("depth") == pl.col("depth").max().over("shortcut"))
    return Lesions(rows, seeds_said(rows))


def summary(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Median, quartiles and `n` of the error over draws and seeds, for each value of `by` and kind of statistics."""
    error = pl.col("error")
    quartiles = {"low": error.quantile(0.25, "linear"), "high": error.quantile(0.75, "linear")}
    return rows.group_by(*by, "statistics", maintain_order=True).agg(median=error.median(), **quartiles, n=pl.len())


def intact(rows: pl.DataFrame, statistics: str) -> float:
    """Mean error of the net without a lesion."""
    found = rows.filter(pl.col("lesion") == "intact", pl.col("statistics") == statistics)["error"].mean()
    assert isinstance(found, float), "every study begins with the intact net"
    return found
