"""Differences with their intervals, one row each, beside the margin that counts; the verdict stands in the row."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis.answer import Answer
from reslab.report import bounds, style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, nets, order, ranks, shorter, sorted_rows
from reslab.report.tables_differences import gap_table, rate_table, reading, rescue_table

FEW = 24  # rows that have room for two lines
FOLD = "¦"  # where a label is broken on a phone only: page.js looks for the expression
LABEL = f"split(replace(datum.label, regexp('{FOLD}', 'g'), ' '), '|')"


def gaps(answered: Answer) -> Drawing | None:
    """P2: each depth against the shallower one with the largest gap, with the verdict."""
    if answered.gaps.is_empty():
        return None
    table = _rows(answered, answered.gaps, "gap_points")
    table = table.with_columns(name=_name(pl.lit(" vs "), pl.col("against").cast(pl.String)))
    brief = (
        "Gap: mean clean training error of a depth less that of the shallower depth with the largest gap (percent "
        f"points; right: deeper is worse), {_n(table)}. {bounds.DECIDES}"
    )
    extra = {"against": "against depth", "method": "method", "failures": "failed runs"}
    return _forest(
        answered, table, brief, "gap (points)", extra, shown=gap_table(table), reading=reading(answered.study, table)
    )


def rescues(answered: Answer) -> Drawing | None:
    """How much of plain's gap a shortcut takes away."""
    if answered.rescues.is_empty():
        return None
    table = _rows(answered, answered.rescues, "rescue_points")
    table = table.with_columns(name=_name(pl.lit(" vs "), pl.col("reference").cast(pl.String)))
    brief = (
        "Rescue: the gap of plain nets less that of the shortcut, both against the same shallower depth (difference "
        f"in differences over seeds, percent points; right: the shortcut helps), {_n(table)}. {bounds.DECIDES}"
    )
    extra = {"reference": "against depth", "method": "method"}
    said = (
        "Rescues: the plain net degrades and the shortcut takes away more than the margin. Share of the plain gap: "
        "with its own 95 % interval (Fieller), which corrects for nothing else; not defined where the plain gap may be "
        "0 or runs failed. Where no run of a shallower net learned, or of both deep ones, there is no verdict and no "
        "interval. Levels: one-sided error probabilities of the two bounds, each of this rescue alone."
    )
    return _forest(answered, table, brief, "rescue (points)", extra, shown=rescue_table(table), reading=said)


def rates(answered: Answer) -> Drawing | None:
    """The gap where each depth has its own best learning rate."""
    if answered.rates.is_empty():
        return None
    table = _rows(answered, answered.rates, "gap_points")
    lr, other = (pl.col(name).cast(pl.String) for name in ("lr", "lr_against"))
    depth = pl.col("against").cast(pl.String)
    name = _name(pl.lit(" at lr "), lr, pl.lit(f"{FOLD}vs "), depth, pl.lit(" at lr "), other)
    table = table.with_columns(name=name, where=pl.lit(""))
    brief = (
        "Gap when every depth has the learning rate that was best for it, chosen on seeds that are in no comparison "
        f"(percent points of clean training error), {_n(table)}. {bounds.DECIDES}"
    )
    extra = {"lr": "rate", "against": "against depth", "lr_against": "its rate"}
    return _forest(answered, table, brief, "gap at best rate (points)", extra, shown=rate_table(table))


def _rows(answered: Answer, table: pl.DataFrame, value: str) -> pl.DataFrame:
    """In the one order of all tables, with value, where (said of rows outside the main context) and interim."""
    places = ranks(answered)
    words = shorter(places)
    main = answered.runs.filter("main")["context"].to_list()[:1]
    elsewhere = pl.concat_str(pl.lit("at "), pl.col("context").replace(words), pl.lit(f":{FOLD}"))
    return sorted_rows(table, places).with_columns(
        value=value,
        where=pl.when(pl.col("context").is_in(main)).then(pl.lit("")).otherwise(elsewhere),
        interim=pl.col("look").is_null(),
    )


def _name(*rest: pl.Expr) -> pl.Expr:
    n = pl.concat_str(pl.lit(" (n = "), pl.col("n").cast(pl.String), pl.lit(")"))
    return pl.concat_str(nets(), pl.lit(" "), pl.col("depth").cast(pl.String), *rest, n)


def _n(table: pl.DataFrame) -> str:
    low, high = min(table["n"]), max(table["n"])
    main = table.filter(where="")
    several = 0 < len(main) < len(table)
    where = f" at {main['context'][0]} unless the row says otherwise" if several else ""
    return (f"n = {low} seed{'s' * (low > 1)}" if low == high else f"n = {low} to {high} seeds") + where


def _verdict() -> pl.Expr:
    """The second line of a row: where, verdict, what is missing."""
    said = pl.when("interim").then(pl.concat_str("verdict", pl.lit(" (interim)"))).otherwise("verdict")
    lacking = pl.concat_str(pl.lit(f",{FOLD}no interval at n = "), pl.col("n").cast(pl.String))
    return pl.concat_str("where", said, pl.when(bounds.without()).then(lacking).otherwise(pl.lit("")))


def _forest(
    answered: Answer,
    table: pl.DataFrame,
    brief: str,
    title: str,
    extra: dict[str, str],
    *,
    shown: pl.DataFrame,
    reading: str = "",
) -> Drawing:
    delta = answered.study.delta
    axis = style.points(*bounds.reach(table, delta), delta)
    found = order(table["shortcut"].to_list())
    drawn = bounds.ends(table, low=axis.low, high=axis.high).select(
        *("shortcut", "depth", "n", "value", "verdict", "begin", "end", "open", "tip", "none", "interval", *extra),
        hollow=pl.col("interim") | pl.col("none"),
        row=pl.concat_str("name", pl.lit("|"), _verdict()),
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        net=nets(),
    )
    band = f"Grey: the margin of ±{delta:g} points that was declared to matter. "
    marks = bounds.OPEN * bool((drawn["open"] != "").any()) + bounds.HOLLOW * bool(drawn["hollow"].any())
    caption = brief + marks + band + axis.said
    data = table.drop("value", "where", "name")
    chart = _chart(drawn, found, axis=axis, delta=delta, title=title, extra=extra)
    return Drawing(chart, caption.strip(), data, shown, brief=brief.strip(), reading=reading)


def _chart(
    drawn: pl.DataFrame, found: list[str], *, axis: style.Points, delta: float, title: str, extra: dict[str, str]
) -> Any:
    two = len(drawn) <= FEW
    label = LABEL if two else f"replace(replace(datum.label, regexp('{FOLD}', 'g'), ' '), '|', ': ')"
    names = alt.Axis(labelExpr=label, labelLimit=0, title=None, grid=False, domain=False, ticks=False, labelPadding=8)
    base = alt.Chart(drawn).encode(y=alt.Y("row:N", sort=drawn["row"].to_list(), axis=names))
    x = alt.X("value:Q", title=title, scale=axis.scale, axis=axis.axis)
    colour, shape = style.colour(found), style.shape(found)
    tip = [alt.Tooltip("net:N", title="net"), *(alt.Tooltip(name) for name in ("depth:Q", "n:Q", "verdict:N"))]
    tip += [alt.Tooltip("value:Q", title="points", format="+.2f"), alt.Tooltip("interval:N")]
    tip += [
        alt.Tooltip(name, title=said, format=".3~g")
        if drawn[name].dtype == pl.Float64
        else alt.Tooltip(name, title=said)
        for name, said in extra.items()
    ]
    band = alt.Chart(pl.DataFrame({"from": [-delta], "to": [delta]}))
    across = alt.X("from:Q", title=title, scale=axis.scale)
    return alt.layer(
        band.mark_rect(color=style.GREY, opacity=0.3).encode(x=across, x2="to:Q"),
        alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(strokeWidth=1).encode(x=alt.X("zero:Q", title=title)),
        *bounds.bars(base, drawn, colour, channel="x", title=title),
        *(
            base.transform_filter(f"datum.hollow == {str(hollow).lower()}")
            .mark_point(filled=not hollow, size=90, opacity=1, strokeWidth=2)
            .encode(x=x, color=colour, shape=shape, tooltip=tip)
            for hollow in (False, True)
        ),
    ).properties(width="container", height=len(drawn) * (34 if two else 18))
