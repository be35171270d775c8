"""What a grid of nets at initialisation says: ratios, growth per layer, and the question that it answers."""

import math
from collections.abc import Iterable

import polars as pl

from reslab.analysis.wording import net

THEORY = math.pi / (math.pi - 1)
"""Growth of the squared gradient norm per layer of a plain net with ReLU and BatchNorm, as width and batch grow
(Yang et al. 2019, theorem 8)."""
KEPT = 3.0  # a ratio of gradient norms within this factor of 1 is neither exploding nor vanishing
PLACE = ("depth", "shortcut", "order", "norm", "seed")
CELL = PLACE[:-1]


def ratios(readings: pl.DataFrame) -> pl.DataFrame:
    """One row per net: its place in the grid, the scalars of its trunk, growth of its first and last stage.

    `gradient_ratio` and `weight_gradient_ratio` are first over last unit and convolution; `first_stage_growth` and
    `last_stage_growth` the squared gradient norm's factor per weighted layer towards the input; `depth_scale` xi in
    layers; `branch_over_shortcut` the ratio of variances at the last unit of all.
    """
    statistic, layer = pl.col("statistic"), pl.col("layer")
    value = pl.col("value")
    of_trunk = [
        value.filter((layer == "trunk") & (statistic == name)).first().alias(name)
        for name in ("gradient_ratio", "weight_gradient_ratio", "depth_scale")
    ]
    growth = value.filter(statistic == "backward_growth")
    ends = [growth.first().alias("first_stage_growth"), growth.last().alias("last_stage_growth")]
    branch = value.filter(statistic == "variance_ratio").last().alias("branch_over_shortcut")
    return readings.group_by(PLACE, maintain_order=True).agg(*of_trunk, *ends, branch)


def over_seeds(table: pl.DataFrame) -> pl.DataFrame:
    """Geometric means over seeds of `ratios`, with `n`; what is not finite and positive in one seed is so in all."""
    names = [name for name in table.columns if name not in PLACE]
    means = [pl.col(name).log().mean().exp() for name in names]
    return table.group_by(CELL, maintain_order=True).agg(pl.len().alias("n"), *means)


def answer(table: pl.DataFrame) -> str:
    """Do residual connections cure vanishing gradients at initialisation? In one sentence per order and norm."""
    means = over_seeds(table)
    said = []
    for (order, norm), group in means.group_by("order", "norm", maintain_order=True):
        deepest = group.filter(pl.col("depth") == pl.col("depth").max())
        found = {str(row["shortcut"]): float(row["gradient_ratio"]) for row in deepest.iter_rows(named=True)}
        said.append(_sentence(found, depth=deepest["depth"][0], order=str(order), norm=str(norm)))
    return " ".join(said)


def _sentence(found: dict[str, float], *, depth: int, order: str, norm: str) -> str:
    where = f"order={order}, norm={norm}, depth {depth}"
    others = _listed(f"{name} {number(ratio)} ({_word(ratio)})" for name, ratio in found.items() if name != "none")
    if "none" not in found:
        return f"At {where}, gradient norm of the first over the last unit: {others}."
    plain = found["none"]
    said = {
        "explodes": "no vanishing gradient to cure: the plain net's explodes towards the input",
        "vanishes": "the plain net's gradient vanishes towards the input",
        "is kept": "no vanishing gradient to cure: the plain net's is kept",
        "is undefined": "the plain net's gradient is undefined",
    }[_word(plain)]
    beside = f"; with a shortcut: {others}" if others else ""
    return f"At {where}: {said}, first over last unit {number(plain)}{beside}."


def _word(ratio: float) -> str:
    if math.isnan(ratio):
        return "is undefined"
    return "explodes" if ratio > KEPT else "vanishes" if ratio < 1 / KEPT else "is kept"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def number(value: float | None) -> str:
    """A ratio as it is read: 17.7, 1,240, 1.5e+07; infinite and undefined ones in words."""
    if value is None or math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.3g}" if abs(value) < 1000 else f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2g}"


def tables(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As they are read: ratios by depth and shortcut; growth per layer and xi of the deepest nets."""
    means = over_seeds(table).with_columns(net=pl.col("shortcut").replace({"none": net("none")}))
    place = ["order", "norm", "depth"]
    by_depth = means.with_columns(_read("gradient_ratio")).pivot(
        "net", index=place, values="gradient_ratio", maintain_order=True
    )
    growth = means.filter(pl.col("depth") == pl.col("depth").max()).select(
        *place,
        "net",
        _read("first_stage_growth").alias("first stage"),
        _read("last_stage_growth").alias("last stage"),
        pl.lit(f"{THEORY:.3f}").alias("pi/(pi-1)"),
        _read("depth_scale").alias("xi"),
        _read("branch_over_shortcut").alias("last branch / shortcut"),
    )
    return by_depth, growth


def _read(name: str) -> pl.Expr:
    return pl.col(name).map_elements(number, return_dtype=pl.String, skip_nulls=False)
