"""The figures of `reslab probe probe=init`: nets before any training."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import init_grid
from reslab.analysis.wording import net
from reslab.report import charts_branches, style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, order
from reslab.report.panels import Panel

RATIO = "gradient norm, first unit / last unit"


def figures(readings: pl.DataFrame) -> list[tuple[Panel, Drawing | None]]:
    """Every figure of the grid; None where there is nothing finite to draw."""
    n = readings["seed"].n_unique()
    made = {
        "gradient_ratio": ("Gradient norm of the first over the last unit", _ratio(readings, n)),
        "gradient_profile": ("Gradient norm along the net", _profile(readings, n)),
        "branch_ratio": ("Branch against shortcut", _branches(readings, n)),
    }
    return [(Panel(key, title, "instrument", lambda _: None), drawing) for key, (title, drawing) in made.items()]


def _named(table: pl.DataFrame) -> pl.DataFrame:
    """With the words of the picture and of the legend."""
    found = order(table["shortcut"].to_list())
    return table.with_columns(
        panel=pl.concat_str(pl.lit("order "), "order", pl.lit(", norm "), "norm"),
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        line=pl.col("shortcut").replace_strict(style.lines(found)),
    )


def _ratio(readings: pl.DataFrame, n: int) -> Drawing | None:
    raw = init_grid.ratios(readings)
    finite = pl.col("gradient_ratio").is_finite() & (pl.col("gradient_ratio") > 0)
    mean = pl.col("gradient_ratio").log().mean().exp().over(init_grid.CELL)
    data = _named(raw.filter(finite)).with_columns(mean=mean, one=1.0)
    if data.is_empty():
        return None
    depths = sorted(set(data["depth"]))
    x = alt.X("depth:Q", scale=style.log_axis(depths), axis=alt.Axis(values=depths, grid=False))
    ratio, mean_ratio, one = (
        alt.Y(f"{name}:Q", title=RATIO, scale=alt.Scale(type="log"), axis=style.powers([*data["gradient_ratio"], 1.0]))
        for name in ("gradient_ratio", "mean", "one")
    )
    tip = [alt.Tooltip("arm:N", title="shortcut"), "depth:Q", "seed:Q"]
    tip += [alt.Tooltip("gradient_ratio:Q", title="first / last", format=".3~g")]
    base, found = alt.Chart(data).encode(x=x, color=style.colour(data["shortcut"])), data["shortcut"]
    level = alt.Chart(data).encode(x=alt.value(0), x2=alt.value("width"), y=one)
    layers = [
        level.mark_rule(strokeDash=[5, 4], color=style.GREY),
        base.mark_line(strokeWidth=1.5).encode(y=mean_ratio, strokeDash=style.dash(found)),
        base.mark_point(filled=True, size=36, opacity=0.8).encode(y=ratio, shape=style.shape(found), tooltip=tip),
    ]
    caption = (
        "Norm of the loss's gradient by the first unit's output over that by the last unit's, at initialisation "
        f"(log axis); points: nets ({_seeds(n)}, smooth random images, batch statistics), lines: geometric means. "
        "Above the grey line gradients grow towards the input, below it they vanish."
    )
    return Drawing(_faceted(layers, data), caption, raw)


def _profile(readings: pl.DataFrame, n: int) -> Drawing | None:
    place = list(init_grid.PLACE)
    norms = readings.filter(pl.col("statistic") == "gradient_norm", pl.col("layer").str.starts_with("trunk."))
    raw = norms.select(
        *place,
        unit=pl.int_range(1, pl.len() + 1).over(place),
        relative=pl.col("value") / pl.col("value").last().over(place),
    )
    deepest = raw.filter(pl.col("depth") == pl.col("depth").max())
    finite = pl.col("relative").is_finite() & (pl.col("relative") > 0)
    data = _named(deepest.filter(finite))
    if data.is_empty():
        return None
    base = alt.Chart(data).encode(
        x=alt.X("unit:Q", title="unit of the net (first = 1)", scale=alt.Scale(nice=False), axis=alt.Axis(grid=False)),
        y=alt.Y(
            "relative:Q",
            title="gradient norm / that of last unit",
            scale=alt.Scale(type="log"),
            axis=style.powers(data["relative"]),
        ),
        color=style.colour(data["shortcut"]),
    )
    depth = data["depth"][0]
    caption = (
        f"Norm of the loss's gradient by each unit's output over that by the last unit's, depth {depth}, at "
        f"initialisation (log axis); one line per seed ({_seeds(n)}). A straight line is exponential "
        f"growth; theory for a plain net with BatchNorm: the squared norm grows {init_grid.THEORY:.3f} times a layer."
    )
    lines = base.mark_line(strokeWidth=1.5).encode(strokeDash=style.dash(data["shortcut"]), detail="seed:N")
    return Drawing(_faceted([lines], data), caption, raw)


def _branches(readings: pl.DataFrame, n: int) -> Drawing | None:
    place, cell = list(init_grid.PLACE), list(init_grid.CELL)
    raw = readings.filter(pl.col("statistic") == "variance_ratio").select(
        *place, "value", unit=pl.int_range(1, pl.len() + 1).over(place)
    )
    finite = pl.col("value").is_finite() & (pl.col("value") > 0)
    data = raw.filter(finite).group_by(*cell, "unit", maintain_order=True).agg(value=pl.col("value").log().mean().exp())
    data = data.filter(pl.col("norm") == pl.col("norm").first())
    if data.is_empty():
        return None
    norm = data["norm"][0]
    words = {name: net(name) for name in order(data["shortcut"])}
    data = data.with_columns(
        panel=pl.concat_str(pl.col("shortcut").replace_strict(words), pl.lit(f", norm {norm}, order "), pl.col("order"))
    )
    panels = [
        f"{word}, norm {norm}, order {each}"
        for word in words.values()
        for each in data["order"].unique(maintain_order=True)
    ]
    caption = (
        "Variance of the branch's output over that of the shortcut's output (a plain unit: over its input) at "
        f"initialisation, geometric mean of {_seeds(n)}, both axes logarithmic, depths overlaid. "
        "Dotted: 1/l."
    )
    return Drawing(charts_branches.chart_of(data, panels, place="unit of the net (first = 1)"), caption, raw)


def _faceted(layers: list[Any], data: pl.DataFrame) -> Any:
    panels = data["panel"].unique(maintain_order=True).to_list()
    facet = alt.Facet("panel:N", title=None, sort=panels, header=alt.Header(labelAnchor="start"))
    return alt.layer(*layers).properties(width=300, height=220).facet(facet=facet, columns=min(2, len(panels)))


def _seeds(n: int) -> str:
    return f"{n} seed{'s' * (n != 1)}"
