"""Error against depth: every seed a mark, means with their intervals, failures where chance is."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis.answer import Answer
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, budgets, nets, order, plainly, ranks

FAILURES = ("diverged", "failed", "at_chance")
SPREAD = 0.035  # of a doubling of depth, between two shortcuts


def depth(answered: Answer) -> Drawing | None:
    """P1: the clean training error, which is what degradation is about."""
    means = answered.cells.select(
        "cell", mean=100 * pl.col("train_error_mean"), lower="lower_points", upper="upper_points"
    )
    return _curve(
        answered,
        means,
        value=100 * pl.col("counted_error"),
        title="clean training error (%)",
        said="Clean training error (%, in eval mode, without augmentation, on every training image)",
        interval="Filled mark and bar: mean over seeds and its 95 % t interval, cut at 0, which decides nothing; no "
        "bar where n is 1 or a run of the cell failed. ",
    )


def cross_entropy(answered: Answer) -> Drawing | None:
    """The secondary estimand, where the best cells are below 1 % and the error has little left to tell."""
    best = answered.cells["train_error_mean"].drop_nulls().min()
    if best is None or not best < 0.01:  # type: ignore[operator]  # polars: any literal
        return None
    return _curve(
        answered,
        answered.cells.select("cell", mean=pl.col("train_cross_entropy_mean")),
        value=pl.col("train_cross_entropy"),
        title="clean training cross-entropy (nats)",
        said="Clean training cross-entropy (nats, log axis)",
        interval="Filled mark: mean over seeds, without interval. The declared second measure, shown because the best "
        "cells are below 1 % training error. ",
        log=True,
    )


def test(answered: Answer) -> Drawing | None:
    """Test error on the same axes: over-fitting would rise here and not above."""
    return _curve(
        answered,
        answered.cells.select("cell", mean=100 * pl.col("test_error_mean")),
        value=100 * pl.col("test_error"),
        title="test error (%)",
        said="Test error (%)",
        interval="Filled mark: mean over seeds, without interval. ",
    )


def _curve(
    answered: Answer, means: pl.DataFrame, *, value: pl.Expr, title: str, said: str, interval: str, log: bool = False
) -> Drawing | None:
    keys = ("context", "shortcut", "depth")
    main = answered.runs.filter("main")["context"].unique().to_list()
    others = [context for context in budgets(answered) if context not in main]
    compared = ~pl.col("seed").is_in(answered.study.tuning_seeds)
    runs = answered.runs.filter(~pl.col("context").is_in(others), compared).with_columns(
        value=value, failed=pl.col("outcome").is_in(FAILURES).fill_null(value=False)
    )
    runs = runs.drop_nulls("value").filter((pl.col("value") > 0) | (not log))
    if runs.is_empty():
        return None
    cells = (
        answered.cells.filter(pl.col("context").is_in(runs["context"].unique().to_list()))
        .join(means, on="cell")
        .drop_nulls("mean")
        .filter((pl.col("mean") > 0) | (not log))
    )
    bounds = [name for name in ("lower", "upper") if name in means.columns]
    part = pl.when("failed").then(pl.lit("failed")).otherwise(pl.lit("run"))
    data = pl.concat(
        [
            runs.select(*keys, "seed", "value", "outcome", part=part),
            cells.select(*keys, "n", "outcomes", *bounds, value="mean", part=pl.lit("mean")),
        ],
        how="diagonal",
    )
    found = order(data["shortcut"].to_list())
    data = data.with_columns(
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        net=nets(),
        line=pl.col("shortcut").replace_strict(style.lines(found)),
        x=pl.col("depth") * pl.col("shortcut").replace_strict(_aside(found), return_dtype=pl.Float64),
    )
    counts = cells["n"].to_list()
    counted = ", counted as chance (dashed line)" * bool(bounds)
    # the axis of depths is a single one; contexts stand below one another
    chart = _layers(data, found, title=title, log=log, bounds=bool(bounds))
    shown = [name for name in ranks(answered) if name in set(data["context"])]
    if len(shown) > 1:
        facet = alt.Facet("context:N", title=None, sort=shown, header=alt.Header(labelAnchor="start"))
        chart = chart.facet(facet=facet, columns=min(2, len(shown)))
    brief = f"{said} against depth (weighted layers, log2 axis), {'; '.join(shown)}, {span(counts)}. {interval}"
    caption = (
        f"{brief}Open marks: runs, one a seed, moved sideways by shortcut so that none hides another. "
        + ("Other budgets are below. " * bool(others and not answered.budgets.is_empty()))
        + (f"Cross: a diverged, failed or at-chance run{counted}." * bool(runs["failed"].any()))
    )
    return Drawing(chart, caption.strip(), data.drop("x", "arm", "net", "line"), brief=brief.strip())


def span(counts: list[int]) -> str:
    """n of the cells of a figure, for its caption."""
    if not counts:
        return "no cell has a measured run"
    low, high = min(counts), max(counts)
    return f"n = {low} in each cell" if low == high else f"n = {low} to {high} in a cell"


def _aside(found: list[str]) -> dict[str, float]:
    return {name: 2 ** (SPREAD * (i - (len(found) - 1) / 2)) for i, name in enumerate(found)}


def _layers(data: pl.DataFrame, found: list[str], *, title: str, log: bool, bounds: bool) -> Any:
    depths = sorted(set(data["depth"]))
    ticks = alt.Axis(values=depths, format="d", grid=False, labelOverlap="greedy")
    x = alt.X("x:Q", scale=style.log_axis(depths, base=2), axis=ticks, title="depth (weighted layers)")
    top = max(v for name in ("value", *(("upper",) if bounds else ())) for v in data[name].drop_nulls())
    scale = alt.Scale(type="log") if log else alt.Scale(domainMin=0, domainMax=max(min(top, 100) * 1.05, 0.5))
    y = alt.Y("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))
    colour, shape = style.colour(found), style.shape(found)
    said = data.with_columns(pl.col("outcome", "outcomes").map_elements(plainly, return_dtype=pl.String))
    base = alt.Chart(said).encode(x=x)
    who = [alt.Tooltip("context:N"), alt.Tooltip("net:N", title="net"), alt.Tooltip("depth:Q")]
    run = [*who, *(alt.Tooltip(name) for name in ("seed:Q", "outcome:N"))]
    run.append(alt.Tooltip("value:Q", title=title, format=".4~g"))
    cell = [*who, *(alt.Tooltip(name) for name in ("n:Q", "outcomes:N"))]
    cell.append(alt.Tooltip("value:Q", title=f"mean {title}", format=".4~g"))
    means, failed = base.transform_filter("datum.part == 'mean'"), base.transform_filter("datum.part == 'failed'")
    several = len(depths) > 1
    layers = [
        means.mark_line(strokeWidth=1.5, opacity=0.8 * several).encode(
            y=y, color=colour, strokeDash=style.dash(found), detail="context:N"
        ),
        base.transform_filter("datum.part == 'run'")
        .mark_point(size=38, opacity=0.7, strokeWidth=1.3)
        .encode(y=y, color=colour, shape=shape, tooltip=run),
        means.mark_point(filled=True, size=70, opacity=1).encode(y=y, color=colour, shape=shape, tooltip=cell),
    ]
    if bounds:
        ends = {"y": alt.Y("lower:Q", scale=scale, title=title), "y2": "upper:Q"}
        layers.insert(1, means.mark_rule(strokeWidth=2, clip=True).encode(**ends, color=colour))
    if (data["part"] == "failed").any():
        line = alt.Chart(said).transform_filter("datum.part == 'failed'").mark_rule(strokeDash=[3, 3], color=style.GREY)
        layers += [line.encode(y=alt.Y("max(value):Q", title=title))] if bounds else []
        marks = failed.mark_point(shape=style.X_MARK, size=70, strokeWidth=2)
        layers.append(marks.encode(y=y, color=colour, tooltip=run))
    return alt.layer(*layers).properties(width=250 if data["context"].n_unique() > 1 else "container", height=300)
