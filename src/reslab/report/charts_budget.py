"""The gap against the budget: the same nets trained for longer, against the same shallower ones."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis.answer import Answer
from reslab.report import bounds, style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, nets, order, ranks, sorted_rows
from reslab.report.tables_differences import gap_table


def budget(answered: Answer) -> Drawing | None:
    """Gaps at several budgets on the depths that all of them have; None for one budget."""
    if answered.budgets.is_empty():
        return None
    data = sorted_rows(answered.budgets, ranks(answered))
    low, high = min(data["n"]), max(data["n"])
    delta = answered.study.delta
    table = data.with_columns(value="gap_points")
    axis = style.points(*bounds.reach(table, delta), delta)
    references = sorted(set(data["against"]))
    against = f"depth {references[0]}" if len(references) == 1 else "the shallower depth with the largest gap"
    brief = (
        f"Gap (percent points of clean training error, a depth less {against}) against the budget (optimiser steps, "
        f"log axis), n = {low if low == high else f'{low} to {high}'} seeds; every budget is judged on the depths that "
        f"all budgets have, all else equal. {bounds.DECIDES}"
    )
    drawn = bounds.ends(table, low=axis.low, high=axis.high)
    hollow = bool((drawn["none"] | drawn["look"].is_null()).any())
    marks = bounds.OPEN * bool((drawn["open"] != "").any()) + bounds.HOLLOW * hollow
    caption = f"{brief}{marks}Grey: the margin of ±{delta:g} points. {axis.said}"
    chart = _chart(drawn, axis, delta)
    return Drawing(chart, caption.strip(), data, gap_table(data), brief=brief.strip())


def _chart(table: pl.DataFrame, axis: style.Points, delta: float) -> Any:
    found = order(table["shortcut"].to_list())
    aside = {name: 1 + 0.05 * (place - (len(found) - 1) / 2) for place, name in enumerate(found)}
    reference = {depth: _reference(table, depth) for depth in sorted(set(table["depth"]))}
    drawn = table.select(
        *("shortcut", "depth", "steps", "n", "verdict", "against"),
        *("value", "begin", "end", "open", "tip", "none", "interval"),
        hollow=pl.col("look").is_null() | pl.col("none"),
        x=pl.col("steps") * pl.col("shortcut").replace_strict(aside, return_dtype=pl.Float64),
        layers=pl.col("depth").replace_strict(reference, return_dtype=pl.String),
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        net=nets(),
        line=pl.col("shortcut").replace_strict(style.lines(found)),
        band_low=pl.lit(-delta),
        band_high=pl.lit(delta),
    )
    steps = sorted(set(drawn["steps"]))
    title = "gap (points)"
    ticks = alt.Axis(values=steps, format=",d", grid=False)
    base = alt.Chart(drawn).encode(
        x=alt.X("x:Q", title="budget (optimiser steps)", scale=style.log_axis(steps), axis=ticks)
    )
    y = alt.Y("value:Q", title=title, scale=axis.scale, axis=axis.axis)
    colour, shape = style.colour(found), style.shape(found)
    tip = [alt.Tooltip("net:N", title="net"), alt.Tooltip("depth:Q"), alt.Tooltip("against:Q", title="against depth")]
    tip += [alt.Tooltip("steps:Q", format=","), alt.Tooltip("n:Q"), alt.Tooltip("verdict:N")]
    tip += [alt.Tooltip("value:Q", title="points", format="+.2f"), alt.Tooltip("interval:N")]
    margin = {"y": alt.Y("mean(band_low):Q", title=title), "y2": alt.Y2("mean(band_high):Q")}
    chart = alt.layer(
        alt.Chart(drawn).mark_rect(opacity=0.3, color=style.GREY).encode(**margin),
        *bounds.bars(base, drawn, colour, channel="y", title=title),
        base.mark_line(strokeWidth=1.5).encode(y=y, color=colour, strokeDash=style.dash(found)),
        *(
            base.transform_filter(f"datum.hollow == {str(hollow).lower()}")
            .mark_point(filled=not hollow, size=70, opacity=1, strokeWidth=2)
            .encode(y=y, color=colour, shape=shape, tooltip=tip)
            for hollow in (False, True)
        ),
    ).properties(width=240, height=220)
    facet = alt.Facet("layers:N", title=None, sort=list(reference.values()), header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=min(2, len(reference)))


def _reference(table: pl.DataFrame, depth: int) -> str:
    """The heading of one picture: the depth, and what it is compared with where that is one depth."""
    against = sorted(set(table.filter(depth=depth)["against"]))
    return f"{depth} layers against {against[0]}" if len(against) == 1 else f"{depth} layers"
