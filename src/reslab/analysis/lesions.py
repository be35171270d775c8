"""Lesion studies of the runs of the main context: medians and quartiles, per net; no torch."""

import polars as pl


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
