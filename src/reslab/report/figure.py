"""The figure of He 2015, Fig. 6, in one picture: clean training error against depth."""

from pathlib import Path

import altair as alt
import polars as pl

from reslab.analysis.table import AXES, ambiguous

COLOURS = {"none": "#d55e00", "identity": "#0072b2", "projection": "#009e73", "projection_all": "#cc79a7"}


def draw_errors(table: pl.DataFrame, path: Path) -> bool:
    """Every run a point, cell means joined by lines, one colour per shortcut; PNG. False if there is nothing to draw.

    Runs of one shortcut that differ in other axes are told apart by the shape of the point and the dash of the line.
    """
    named = [axis for axis in AXES if axis not in ("shortcut", "depth") and table[axis].n_unique() > 1]
    data = table.drop_nulls("train_error").select(
        "depth",
        "seed",
        "outcome",
        shortcut="shortcut",
        family=pl.concat_str([pl.col(a).cast(pl.String) for a in named], separator=" ") if named else pl.lit("all"),
        error=pl.col("train_error") * 100,
    )
    if data.is_empty():
        return False
    found = data["shortcut"].unique(maintain_order=True).to_list()
    known = [name for name in COLOURS if name in found] + [name for name in found if name not in COLOURS]
    scale = alt.Scale(domain=known, range=[COLOURS.get(name, "#56b4e9") for name in known])
    ticks = alt.Axis(values=sorted(set(data["depth"])), format="d", grid=False)
    x = alt.X("depth:Q", title="depth (weighted layers)", scale=alt.Scale(zero=False, padding=12), axis=ticks)
    y = alt.Y("error:Q", title="clean training error (%)")
    colour = alt.Color("shortcut:N", scale=scale, title="shortcut (none: plain)")
    several = data["family"].n_unique() > 1
    mean = alt.Y("mean(error):Q", title="clean training error (%)")
    lines = alt.Chart(data).mark_line(strokeWidth=2).encode(x=x, y=mean, color=colour)
    points = alt.Chart(data).mark_point(filled=True, size=45, opacity=0.75).encode(x=x, y=y, color=colour)
    if several:
        lines = lines.encode(strokeDash=alt.StrokeDash("family:N", title=" ".join(named)))
        points = points.encode(shape=alt.Shape("family:N", legend=None))
    settings = [f"{key} {', '.join(map(str, table[key].unique().sort()))}" for key in ("data", "steps", "lr")]
    alike = ambiguous(table.unique("cell")).any()  # a line through the means of different cells would mean nothing
    title = f"{' · '.join(settings)} · every point a run{'' if alike else ', lines through means'}"
    chart = (points if alike else lines + points).properties(width=460, height=280, background="white", title=title)
    path.parent.mkdir(parents=True, exist_ok=True)
    chart.save(str(path), scale_factor=2)
    return True
