"""P8: what is left of a net when units are deleted: plain beside residual, as it is and with statistics retaken."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import lesions
from reslab.analysis.answer import Answer
from reslab.analysis.studies import studied
from reslab.analysis.wording import net
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, order

RETAKEN = {"raw": "as trained", "retaken": "BatchNorm statistics retaken"}
PANELS = {"number": "random units deleted, by their number", "unit": "one unit deleted, by its place"}
TITLE = "error on test images (%)"


def lesion(answered: Answer) -> Drawing | None:
    """Error against the number of deleted units (median, quartiles) and against the place of a single deleted one."""
    found = studied(answered, "lesion", deepest=True)
    rows = found.rows
    if rows.is_empty():
        return None
    nothing = rows.filter(pl.col("lesion") == "intact").with_columns(lesion=pl.lit("number"))
    number = lesions.summary(pl.concat([nothing, rows.filter(lesion="number")]), "shortcut", "depth", "number")
    single = lesions.summary(rows.filter(lesion="unit"), "shortcut", "depth", "place", "unit")
    data = pl.concat(
        [
            number.rename({"number": "x"}).with_columns(lesion=pl.lit("number")),
            single.rename({"place": "x"}).with_columns(lesion=pl.lit("unit")),
        ],
        how="diagonal",
    ).sort("lesion", "shortcut", "statistics", "x")
    chance = max(answered.runs["chance"].to_list())
    images = ", ".join(f"{n:,}" for n in sorted(set(rows["images"])))
    brief = (
        f"Error on {images} test images of the deepest nets that were studied when units are deleted ({found.said}): a "
        "residual unit keeps its shortcut, a plain one becomes the identity. Left: random subsets of the units that "
        "keep the shape, median and quartiles over draws and seeds. Right: one unit deleted, median over seeds; a "
        "plain unit that changes the shape cannot be. Full lines: as trained; dashed: BatchNorm statistics retaken on "
        "training images."
    )
    caption = f"{brief} Grey: chance, {100 * chance:.3g} %."
    return Drawing(_chart(data, 100 * chance), caption, data, _orders(rows), brief=brief, reading=READING)


READING = (
    "Error (%, median and quartiles over draws and seeds) when units that are built alike are swapped within their "
    "stage, with Kendall's tau of the order that results."
)


def _chart(data: pl.DataFrame, chance: float) -> Any:
    found = order(data["shortcut"])
    shown = data.with_columns(
        **{name: 100 * pl.col(name) for name in ("median", "low", "high")},
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        way=pl.col("statistics").replace_strict(RETAKEN),
        panel=pl.col("lesion").replace_strict(PANELS),
        chance=pl.lit(chance),
    )
    colour = style.colour(found).legend(symbolOpacity=1)  # else that of the bands
    ways = list(RETAKEN.values())
    dash = alt.StrokeDash("way:N", title="statistics", sort=ways, scale=alt.Scale(domain=ways, range=[[1, 0], [5, 3]]))
    y = alt.Y("median:Q", title=TITLE, scale=alt.Scale(domain=[0, 100]))
    base = alt.Chart(shown).encode(
        x=alt.X("x:Q", title="number of units; place of the unit (first = 1)", axis=alt.Axis(grid=False, tickMinStep=1))
    )
    tip = [alt.Tooltip("arm:N", title="shortcut"), "depth:Q", "way:N", "x:Q", "unit:N", "n:Q"]
    tip += [alt.Tooltip(f"{name}:Q", format=".1f") for name in ("median", "low", "high")]
    level = alt.Chart(shown).encode(x=alt.value(0), x2=alt.value("width"), y=alt.Y("chance:Q", title=TITLE))
    chart = alt.layer(
        level.mark_rule(strokeDash=[2, 3], color=style.GREY),
        base.transform_filter("datum.lesion == 'number'")
        .mark_area(opacity=0.12)
        .encode(y=alt.Y("low:Q", title=TITLE), y2="high:Q", color=colour, detail="way:N"),
        base.mark_line(strokeWidth=1.8).encode(y=y, color=colour, strokeDash=dash),
        base.mark_point(filled=True, size=22, opacity=1).encode(
            y=y, color=colour, shape=style.shape(found), detail="way:N", tooltip=tip
        ),
    ).properties(width=300, height=240)
    facet = alt.Facet("panel:N", title=None, sort=list(PANELS.values()), header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=2).resolve_scale(x="independent")


def _orders(rows: pl.DataFrame) -> pl.DataFrame:
    swapped = rows.filter(lesion="order")
    lines = []
    for key, own in swapped.group_by("shortcut", "depth", "swaps", maintain_order=True):
        shortcut, depth, swaps = map(str, key)
        line = {"net": f"{net(shortcut)} {depth}", "swaps": swaps, "tau": f"{sum(own['tau']) / len(own):.2f}"}
        for row in lesions.summary(own).iter_rows(named=True):
            cells = [f"{100 * row[name]:.1f}" for name in ("median", "low", "high")]
            line[RETAKEN[row["statistics"]]] = f"{cells[0]} [{cells[1]}, {cells[2]}]"
        lines.append(line)
    return pl.DataFrame(lines, infer_schema_length=None)
