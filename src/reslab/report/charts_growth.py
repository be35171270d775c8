"""The figures of `reslab bench part=growth`: time and memory of a step, and sweeps, beside their limits."""

import altair as alt
import polars as pl

from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.panels import Panel

AXES = {
    "depth": "depth (weighted layers)",
    "batch": "images in a batch",
    "width": "channels of the first stage",
    "size": "side of an image (pixels)",
}
WAYS = ("all activations kept", "activation checkpointing")
COLOURS = (style.PALETTE[1], style.PALETTE[0])
LINES = ("measured", "limit")
MACHINE = 24.0  # GiB, of a machine that must train ResNet-1202


def figures(steps: pl.DataFrame, sweeps: pl.DataFrame) -> list[tuple[Panel, Drawing | None]]:
    """All three.

    `steps` has a row per point: axis (one of AXES), value, way (one of WAYS), seconds and gib with their limits
    seconds_limit and gib_limit; what was not run is null. `sweeps`: jobs, per_hour, limit (runs an hour).
    """
    made = {
        "growth-cost": ("Time of a training step", _cost(steps)),
        "growth-memory": ("Memory of a training step", _memory(steps)),
        "growth-sweeps": ("Runs an hour", _sweeps(sweeps)),
    }
    return [(Panel(key, title, "cells", lambda _: None), drawing) for key, (title, drawing) in made.items()]


def _cost(steps: pl.DataFrame) -> Drawing:
    long = _long(steps, "seconds")
    shown = [_curves(long.filter(axis=axis), title, "seconds a step", 225) for axis, title in AXES.items()]
    caption = (
        "Median seconds of a training step (fp32, on all cores; log axes) as one number changes and the others stay "
        "those of ResNet-20 at batch 128, 16 channels, 32 x 32. Dashed: the limit, operations (6 x multiply-adds of "
        "the net, 8 x where activations are computed again) over the rate of the fastest convolution measured here."
    )
    return Drawing(alt.concat(*shown, columns=2, spacing=24), caption, steps)


def _memory(steps: pl.DataFrame) -> Drawing:
    long = _long(steps.filter(axis="depth"), "gib")
    top = pl.DataFrame({"y": [MACHINE], "said": [f"{MACHINE:g} GiB"]})
    level = alt.Chart(top).encode(y="y:Q")
    axis = style.powers([*long["y"], MACHINE])
    chart = alt.layer(
        level.mark_rule(color=style.GREY, strokeDash=[2, 3]),
        level.mark_text(align="left", baseline="bottom", dx=4, dy=-2, color=style.GREY).encode(
            x=alt.value(0), text="said:N"
        ),
        _curves(long, AXES["depth"], "GiB added by a step", 540, axis),
    )
    caption = (
        "Peak resident memory of a process of its own, less that before its first step (batch 128, 32 x 32, fp32; log "
        "axes). Dashed: the limit, bytes of the activations that the graph keeps and of a gradient and a momentum for "
        "every weight; above it is mostly memory that malloc could not use again. A net that would keep more than a "
        "quarter of this machine's memory has a limit alone."
    )
    return Drawing(chart, caption, steps.filter(axis="depth"))


def _sweeps(sweeps: pl.DataFrame) -> Drawing:
    long = sweeps.unpivot(["per_hour", "limit"], index="jobs", variable_name="line", value_name="y").with_columns(
        line=pl.col("line").replace_strict({"per_hour": LINES[0], "limit": LINES[1]})
    )
    x = alt.X("jobs:Q", title="runs at a time", axis=alt.Axis(values=sweeps["jobs"].to_list(), grid=False))
    y = alt.Y("y:Q", title="runs an hour", scale=alt.Scale(zero=True))
    base = alt.Chart(long).encode(x=x, y=y)
    dash = alt.StrokeDash("line:N", title=None, scale=alt.Scale(domain=list(LINES), range=[[1, 0], [5, 4]]))
    chart = alt.layer(
        base.mark_line(color=COLOURS[0]).encode(strokeDash=dash),
        base.transform_filter(alt.datum.line == LINES[0]).mark_point(color=COLOURS[0], filled=True, size=50),
    ).properties(width=540, height=240)
    runs, repeats = sweeps["runs"][0], sweeps["repeats"][0]
    caption = (
        f"A fixed sweep of {runs} short trainings on digits, one thread each; medians of n = {repeats} sweeps a point. "
        "Dashed: the rate of the first point times the cores that its runs can use."
    )
    return Drawing(chart, caption, sweeps)


def _long(steps: pl.DataFrame, what: str) -> pl.DataFrame:
    """A row per mark: axis, value, way, line (one of LINES), y; without the points that were not run."""
    both = {what: LINES[0], f"{what}_limit": LINES[1]}
    long = steps.unpivot(list(both), index=["axis", "value", "way"], variable_name="line", value_name="y")
    return long.with_columns(line=pl.col("line").replace_strict(both)).drop_nulls("y")


def _curves(data: pl.DataFrame, title: str, unit: str, width: int, axis: alt.Axis | None = None) -> alt.LayerChart:
    values = sorted(set(data["value"]))
    x = alt.X("value:Q", title=title, scale=style.log_axis(values, base=2), axis=alt.Axis(values=values, grid=False))
    y = alt.Y("y:Q", title=unit, scale=alt.Scale(type="log"), axis=axis or style.powers(data["y"]))
    colour = alt.Color("way:N", title=None, scale=alt.Scale(domain=list(WAYS), range=list(COLOURS)))
    dash = alt.StrokeDash("line:N", title=None, scale=alt.Scale(domain=list(LINES), range=[[1, 0], [5, 4]]))
    base = alt.Chart(data).encode(x=x, y=y, color=colour)
    tip = [alt.Tooltip("value:Q", title=title), alt.Tooltip("y:Q", title=unit, format=".3~g"), "way:N"]
    return alt.layer(
        base.mark_line(strokeWidth=1.5).encode(strokeDash=dash),
        base.transform_filter(alt.datum.line == LINES[0]).mark_point(filled=True, size=40).encode(tooltip=tip),
    ).properties(width=width, height=220)
