"""Linear probes of the runs of the main context: errors along the depth, and how much of it is used; no torch."""

import polars as pl

SHARE = 0.99
"""Of the last probe's accuracy: what a layer must reach so that the depth behind it adds little (Kornblith 2019)."""
ROUNDING = 1e-9


def useful(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """For each value of `by`, one run: the useful depth fraction, and errors at the stem, at best, last, of the net.

    `place` is the first probe with SHARE of the accuracy of the last one's (0: the stem), `fraction` is it over the
    number of `units`. Errors are shares of images.
    """
    probes = rows.drop_nulls("place").sort(*by, "place", maintain_order=True)
    error, place = pl.col("error"), pl.col("place")
    enough = 1 - error >= SHARE * (1 - error.last()) - ROUNDING
    measured = (
        place.filter(enough).first(),
        pl.col("layer").filter(enough).first(),
        error.filter(enough).first().alias("error"),
        place.last().alias("units"),
        error.first().alias("stem"),
        error.min().alias("best"),
        place.sort_by("error", maintain_order=True).first().alias("best_place"),
        error.last().alias("last"),
    )
    groups = probes.group_by(by, maintain_order=True).agg(*measured) if by else probes.select(*measured)
    found = groups.with_columns(fraction=pl.col("place") / pl.col("units"))
    own = rows.filter(pl.col("place").is_null()).select(*by, head="error")
    return found.join(own, on=by, maintain_order="left") if by else found.with_columns(own["head"])


def along(rows: pl.DataFrame) -> pl.DataFrame:
    """Median, quartiles and `n` over seeds of the error of each probe, with `relative`, its place over the last."""
    error = pl.col("error")
    quartiles = {"low": error.quantile(0.25, "linear"), "high": error.quantile(0.75, "linear")}
    return (
        rows.drop_nulls("place")
        .group_by("shortcut", "depth", "place", "layer", maintain_order=True)
        .agg(median=error.median(), **quartiles, n=pl.len())
        .with_columns(relative=pl.col("place") / pl.col("place").max().over("shortcut", "depth"))
        .sort("shortcut", "depth", "place")
    )
