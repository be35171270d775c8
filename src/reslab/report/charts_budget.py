"""The gap against the budget: the same nets trained for longer."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis.answer import Answer
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, budgets, order


def budget(answered: Answer) -> Drawing | None:
    """Gaps of the contexts that differ from the main one in their steps and in nothing else; None for one budget."""
    if answered.gaps.is_empty():
        return None
    data = answered.gaps.filter(pl.col("context").is_in(budgets(answered)))
    several = data.group_by("shortcut", "depth").agg(pl.col("steps").n_unique()).filter(pl.col("steps") > 1)
    data = data.join(several.drop("steps"), on=["shortcut", "depth"], maintain_order="left")
    if data.is_empty():
        return None
    low, high = min(data["n"]), max(data["n"])
    delta = answered.study.delta
    caption = (
        "Gap (percent points of clean training error, deeper less shallower) against the budget (optimiser steps, log "
        f"axis), n = {low if low == high else f'{low} to {high}'} seeds; all else equal. Bar: the interval [L, U] that "
        f"decides, as above; a side without a bar has no bound. Grey: the margin of ±{delta:g} points. "
        "Open marks: interim numbers, which decide nothing."
    )
    return Drawing(_chart(data, delta), caption, data)


def _chart(data: pl.DataFrame, delta: float) -> Any:
    found = order(data["shortcut"].to_list())
    aside = {name: 1 + 0.04 * (place - (len(found) - 1) / 2) for place, name in enumerate(found)}
    drawn = data.select(
        *("shortcut", "depth", "steps", "n", "verdict", "against", "interim"),
        value="gap_points",
        x=pl.col("steps") * pl.col("shortcut").replace_strict(aside, return_dtype=pl.Float64),
        low=pl.col("lower_points").fill_null(pl.col("gap_points")),
        high=pl.col("upper_points").fill_null(pl.col("gap_points")),
        layers=pl.concat_str(pl.col("depth").cast(pl.String), pl.lit(" layers")),
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        line=pl.col("shortcut").replace_strict(style.lines(found)),
        band_low=pl.lit(-delta),
        band_high=pl.lit(delta),
    )
    steps = sorted(set(drawn["steps"]))
    title = "gap (points)"
    ticks = alt.Axis(values=steps, format="d", grid=False)
    x = alt.X("x:Q", title="budget (optimiser steps)", scale=style.log_axis(steps), axis=ticks)
    scale, axis = style.points(min(*drawn["low"], -delta), max(*drawn["high"], delta), delta)
    y = alt.Y("value:Q", title=title, scale=scale, axis=axis)
    colour, shape = style.colour(found), style.shape(found)
    tip = [alt.Tooltip(name) for name in ("arm:N", "depth:Q", "against:Q", "steps:Q", "n:Q", "verdict:N")]
    tip += [alt.Tooltip(f"{name}:Q", format="+.2f", title=f"{name} (points)") for name in ("value", "low", "high")]
    base = alt.Chart(drawn).encode(x=x)
    ends = {"y": alt.Y("mean(band_low):Q", title=title), "y2": alt.Y2("mean(band_high):Q")}
    chart = alt.layer(
        alt.Chart(drawn).mark_rect(opacity=0.3, color=style.GREY).encode(**ends),
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=title), y2="high:Q", color=colour),
        base.mark_line(strokeWidth=1.5).encode(y=y, color=colour, strokeDash=style.dash(found)),
        *(
            base.transform_filter(f"datum.interim == {str(interim).lower()}")
            .mark_point(filled=not interim, size=70, opacity=1, strokeWidth=2)
            .encode(y=y, color=colour, shape=shape, tooltip=tip)
            for interim in (False, True)
        ),
    ).properties(width=240, height=220)
    depths = [f"{depth} layers" for depth in sorted(set(drawn["depth"]))]
    facet = alt.Facet("layers:N", title=None, sort=depths, header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=min(2, len(depths)))
