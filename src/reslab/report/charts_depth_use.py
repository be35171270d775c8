"""P10: what a linear probe reads along the depth, plain beside residual, and from where on the depth adds little."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import depth_use
from reslab.analysis.answer import Answer
from reslab.analysis.studies import studied
from reslab.analysis.wording import net
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import order

TITLE = "error of the probe on test images (%)"
SHARE = f"{100 * depth_use.SHARE:g} %"
TICKS = alt.Axis(values=[0, 1, 3, 10, 20, 40, 60, 80, 100], labelOverlap=False)
RUN = ("shortcut", "depth", "seed")
READING = (
    f"Useful depth fraction: the place of the first probe with {SHARE} of the last probe's accuracy over the number of "
    "units; 0: already the stem has that, so the units behind it add nothing to what a linear probe reads. Errors (%, "
    "on test images): of the probes at the stem, where it is lowest (a minimum over places on these same images, so it "
    "flatters) and at the last unit, and of the net itself. All: median [quartiles] over seeds."
)


def use(answered: Answer) -> Drawing | None:
    """Error of linear probes against relative depth, all depths of a shortcut in one picture; a mark per run."""
    found = studied(answered, "linear", deepest=False)
    if found.rows.is_empty():
        return None
    lines = depth_use.along(found.rows)
    runs = depth_use.useful(found.rows, *RUN)
    data = pl.concat(
        [
            lines.with_columns(part=pl.lit("line")),
            runs.select(*RUN, "place", "layer", relative="fraction", median="error", part=pl.lit("useful")),
        ],
        how="diagonal",
    )
    chance = max(answered.runs["chance"].to_list())
    fitted, images = (_counts(found.rows[name]) for name in ("fitted", "images"))
    brief = (
        "Error of a linear probe on the features of the stem (0) and of each unit (last: 1), pooled over pixels, "
        f"against relative depth, by depth of the net ({found.said}): median over seeds, band: quartiles. Ridge "
        f"regression fitted on {fitted} training images, measured on {images} test images, which chose nothing. "
        f"Diamonds, one a run: the first probe with {SHARE} of the last probe's accuracy; the depth behind it adds "
        "little."
    )
    caption = (
        f"{brief} BatchNorm in eval mode; the penalty is chosen by generalised cross-validation on the images of the "
        f"fit. The error axis is a square root. Grey: chance, {100 * chance:.3g} %."
    )
    return Drawing(_chart(data, 100 * chance), caption, data, _table(runs), brief=brief, reading=READING)


def _chart(data: pl.DataFrame, chance: float) -> Any:
    found, depths = order(data["shortcut"]), [str(depth) for depth in sorted(set(data["depth"]))]
    shown = data.with_columns(
        **{name: 100 * pl.col(name) for name in ("median", "low", "high")},
        layers=pl.col("depth").cast(pl.String),
        net=pl.col("shortcut").replace_strict({name: net(name) for name in found}),
        chance=pl.lit(chance),
    )
    top = max(chance, *(value for name in ("median", "high") for value in shown[name].drop_nulls()))
    scale = alt.Scale(type="sqrt", domain=[0, top], nice=False)
    y = alt.Y("median:Q", title=TITLE, scale=scale, axis=TICKS)
    legend = alt.Legend(symbolOpacity=1)  # else that of the bands
    colour = alt.Color("layers:N", title="depth", sort=depths, scale=style.depths(depths), legend=legend)
    base = alt.Chart(shown).encode(
        x=alt.X("relative:Q", title="relative depth (stem = 0, last unit = 1)", axis=alt.Axis(grid=False, tickCount=5))
    )
    lines, useful = (base.transform_filter(f"datum.part == '{part}'") for part in ("line", "useful"))
    tip = [alt.Tooltip(name) for name in ("net:N", "depth:Q", "layer:N")]
    errors = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("median", "low", "high")]
    level = alt.Chart(shown).encode(x=alt.value(0), x2=alt.value("width"), y=alt.Y("chance:Q", title=TITLE, axis=TICKS))
    chart = alt.layer(
        level.mark_rule(strokeDash=[2, 3], color=style.GREY),
        lines.mark_area(opacity=0.12).encode(y=alt.Y("low:Q", title=TITLE, axis=TICKS), y2="high:Q", color=colour),
        lines.mark_line(strokeWidth=1.6).encode(y=y, color=colour),
        lines.mark_point(filled=True, size=14, opacity=1).encode(
            y=y, color=colour, tooltip=[*tip, alt.Tooltip("n:Q"), *errors]
        ),
        useful.mark_point(shape="diamond", filled=False, size=110, strokeWidth=1.8, opacity=1).encode(
            y=y,
            color=colour,
            tooltip=[*tip, alt.Tooltip("seed:Q"), alt.Tooltip("relative:Q", title="useful depth", format=".2f")],
        ),
    ).properties(width=300, height=260)
    facet = alt.Facet("net:N", title=None, sort=[net(name) for name in found], header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=2)


def _table(runs: pl.DataFrame) -> pl.DataFrame:
    lines = []
    for name in order(runs["shortcut"]):
        own = runs.filter(shortcut=name)
        for depth in sorted(set(own["depth"])):
            at = own.filter(depth=depth)
            line = {"net": f"{net(name)} {depth}", "useful depth fraction": _spread(at["fraction"], "{:.2f}")}
            line |= {"first such unit": f"{at['place'].quantile(0.5, 'linear'):g} of {at['units'][0]}"}
            for column, said in (("stem", "stem"), ("best", "lowest"), ("last", "last unit"), ("head", "the net")):
                line[said] = _spread(100 * at[column], "{:.1f}")
            lines.append(line | {"n": str(len(at))})
    return pl.DataFrame(lines)


def _spread(values: pl.Series, form: str) -> str:
    median, low, high = (form.format(values.quantile(q, "linear")) for q in (0.5, 0.25, 0.75))
    return f"{median} [{low}, {high}]"


def _counts(values: pl.Series) -> str:
    return ", ".join(f"{n:,}" for n in sorted(set(values)))
