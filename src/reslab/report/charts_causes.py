"""What each intervention removes of the gap, beside what it does to the shallow net: the same rows, two pictures."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.causes import HALF
from reslab.report import bounds, style
from reslab.report.drawing import Drawing
from reslab.report.tables_causes import RULE, cause_table, in_percent

SHARE, SHALLOW = "share of the gap removed (%)", "shallow net better by (points)"
COLOURS = (*style.PALETTE[4:6], style.PALETTE[3], *style.PALETTE[6:])  # not those of plain and identity nets
ROW, GUTTER, ROOM = 54, 25, 290  # pixels; a picture on a phone is little wider than ROOM
FOLD = "|"  # where the words of a row go on in a second line


def causes(answered: Answer) -> Drawing | None:
    """Share removed per intervention and depth, and the change of the shallow net; None without interventions."""
    if answered.causes.is_empty():
        return None
    table = in_percent(answered.causes.sort("depth", maintain_order=True))
    low, high = min(table["n"]), max(table["n"])
    delta = answered.study.delta
    brief = (
        "Left: [E(deep, none) - E(deep, intervention)] / gap, in percent of the plain gap, given only where the gap is "
        "established. Right: E(shallow, none) - E(shallow, intervention), percent points of clean training error; left "
        f"of 0 the intervention does harm. n = {low if low == high else f'{low} to {high}'} seeds. Thick bar: its own "
        "95 % interval (Fieller; Welch). Thin bar: the one that decides, each bound at its own level (levels L / U in "
        "the table); the verdicts hold over all interventions and depths, its bounds do not hold all at once. "
    )
    left, right = _left(table), _right(table)
    share = style.points(*_reach(left, 0.0, 100.0), 100.0)  # a margin so wide that the axis stays linear
    fell = style.points(*_reach(right, -delta, delta), delta)
    drawn = [_rows(found, axis) for found, axis in ((left, share), (right, fell))]
    both = pl.concat(drawn)
    marks = bounds.OPEN * bool((both["open"] != "").any()) + bounds.HOLLOW * bool(both["hollow"].any())
    caption = f"{brief}{marks}Dashed: one half of the gap, and the margin of ±{delta:g} points. {fell.said}"
    shown = cause_table(table)
    data = table.drop("own_low", "own_high")
    parts = [
        _part(drawn[0], share, title=SHARE, at=[100 * HALF]),
        _part(drawn[1], fell, title=SHALLOW, at=[-delta, delta]),
    ]
    return Drawing(
        alt.hconcat(*parts, spacing=GUTTER), caption.strip(), data, shown, brief=brief.strip(), reading=_reading(table)
    )


def _reading(table: pl.DataFrame) -> str:
    said = RULE
    if table.select(pl.sum_horizontal("failed_with", "failed_without", "failed_shallow").sum()).item():
        said += "Failed runs count as chance; where one is in a comparison, it goes by exact permutation. "
    return said + "Open: at that level the gap itself may be 0, and a share of it has no bound."


def _left(table: pl.DataFrame) -> pl.DataFrame:
    """Shares in percent, with the interval that decides and its own."""
    pct = {name: 100 * pl.col(name) for name in ("lower", "upper")}
    return table.with_columns(
        value=100 * pl.col("share"),
        lower_points=pct["lower"].fill_null(pl.when(pl.col("look").is_null()).then("own_low")),
        upper_points=pct["upper"].fill_null(pl.when(pl.col("look").is_null()).then("own_high")),
        thick_low="own_low",
        thick_high="own_high",
        word=pl.when(pl.col("reason") == "").then("verdict").otherwise(pl.lit("no share")),
        failed="failed_with",
        seeds="n",
    )


def _right(table: pl.DataFrame) -> pl.DataFrame:
    """Changes of the shallow net in points."""
    return table.with_columns(
        value="shallow_points",
        lower_points=pl.coalesce("shallow_lower", pl.when(pl.col("look").is_null()).then("shallow_own_lower")),
        upper_points=pl.coalesce("shallow_upper", pl.when(pl.col("look").is_null()).then("shallow_own_upper")),
        thick_low="shallow_own_lower",
        thick_high="shallow_own_upper",
        word=pl.col("shallow_verdict").replace({"undecided": "harm undecided"}),
        failed="failed_shallow",
        seeds="shallow_n",
    )


def _reach(table: pl.DataFrame, *least: float) -> tuple[float, float]:
    """From the lowest to the highest of all that is drawn, and of `least`, with room for arrows of open sides."""
    names = ("value", "lower_points", "upper_points", "thick_low", "thick_high")
    seen = [*least, *(value for name in names for value in table[name].drop_nulls())]
    room = 0.1 * (max(seen) - min(seen))
    whole = table.filter(~bounds.without())
    below, above = whole["lower_points"].has_nulls(), whole["upper_points"].has_nulls()
    return min(seen) - room * below, max(seen) + room * above


def _rows(table: pl.DataFrame, axis: style.Points) -> pl.DataFrame:
    """The columns of one picture; the words of a row stand in it, above its bars."""
    failed = pl.concat_str(pl.lit(", "), pl.col("failed").cast(pl.String), pl.lit(" failed"))
    label = pl.concat_str(
        *("intervention", pl.lit(", depth "), pl.col("depth").cast(pl.String), pl.lit(FOLD), "word"),
        *(pl.lit(" (n = "), pl.col("seeds").cast(pl.String)),
        *(pl.when(pl.col("failed") > 0).then(failed).otherwise(pl.lit("")), pl.lit(")")),
    )
    return bounds.ends(table, low=axis.low, high=axis.high).select(
        *("intervention", "depth", "n", "value", "begin", "end", "open", "tip", "none", "interval"),
        *("thick_low", "thick_high", "failed"),
        label=label,
        row=pl.concat_str("depth", pl.lit(" "), "intervention"),
        arm=pl.concat_str(pl.col("depth").cast(pl.String), pl.lit(" against "), pl.col("against").cast(pl.String)),
        hollow=pl.col("look").is_null() | pl.col("none"),
    )


def _part(drawn: pl.DataFrame, axis: style.Points, *, title: str, at: list[float]) -> Any:
    """One of the two pictures; `at`: where its dashed lines stand."""
    rows = alt.Y("row:N", sort=drawn["row"].to_list(), axis=None)
    base = alt.Chart(drawn).encode(y=rows)
    arms = drawn["arm"].unique(maintain_order=True).to_list()
    key = alt.Legend(symbolOpacity=1)
    colours = alt.Scale(domain=arms, range=[COLOURS[at % len(COLOURS)] for at in range(len(arms))])
    shapes = alt.Scale(domain=arms, range=[style.SHAPES[at % len(style.SHAPES)] for at in range(len(arms))])
    colour = alt.Color("arm:N", title="depth", scale=colours, legend=key)
    shape = alt.Shape("arm:N", title="depth", scale=shapes, legend=key)
    tip = [alt.Tooltip("intervention:N"), alt.Tooltip("arm:N", title="depth"), alt.Tooltip("n:Q")]
    tip += [alt.Tooltip("failed:Q"), alt.Tooltip("value:Q", format="+.2f"), alt.Tooltip("interval:N", title="decides")]
    lines = alt.Chart(pl.DataFrame({"at": [0.0, *at], "margin": [False, *[True] * len(at)]}))
    across = alt.X("at:Q", title=title)
    return alt.layer(
        lines.transform_filter("!datum.margin").mark_rule(strokeWidth=1).encode(x=across),
        lines.transform_filter("datum.margin")
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color=style.GREY)
        .encode(x=across),
        base.transform_filter("datum.thick_low !== null && datum.thick_high !== null")
        .mark_rule(strokeWidth=8, opacity=0.35)
        .encode(x=alt.X("thick_low:Q", title=title), x2="thick_high:Q", color=colour),
        *bounds.bars(base, drawn, colour, channel="x", title=title),
        *(
            base.transform_filter(f"datum.hollow == {str(hollow).lower()} && datum.value !== null")
            .mark_point(filled=not hollow, size=90, opacity=1, strokeWidth=2)
            .encode(
                x=alt.X("value:Q", title=title, scale=axis.scale, axis=axis.axis),
                color=colour,
                shape=shape,
                tooltip=tip,
            )
            for hollow in (False, True)
        ),
        base.mark_text(align="left", baseline="line-bottom", dy=-21, fontSize=11, lineBreak=FOLD, limit=ROOM).encode(
            x=alt.value(2), text="label:N"
        ),
    ).properties(width="container", height=ROW * len(drawn))
