"""Differences with their intervals, one row each, beside the margin that counts; the verdict stands in the row."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis.answer import Answer
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, budgets, order

FEW = 24  # rows that have room for two lines


def gaps(answered: Answer) -> Drawing | None:
    """P2: each depth against the shallower one with the largest gap, with the verdict."""
    if answered.gaps.is_empty():
        return None
    data = answered.gaps.with_columns(
        name=_name(answered.gaps, pl.lit(" vs "), pl.col("against").cast(pl.String)),
        value="gap_points",
        where=_context(answered),
    )
    caption = (
        "Gap: mean clean training error of a depth less that of the shallower depth with the largest gap (percent "
        f"points; right: deeper is worse), {_n(data)}. Bar: the interval [L, U] that decides: 95 % as declared, "
        "simultaneous over the shallower depths, Holm over the family, split over the looks; a side without a bar "
        f"has no bound. {_band(answered.study.delta)}{_open(data)}"
    )
    extra = ("against", "look", "interim", "method", "failures", "needed")
    return _forest(data, answered.study.delta, caption, "gap (points)", extra)


def rescues(answered: Answer) -> Drawing | None:
    """How much of plain's gap a shortcut takes away."""
    if answered.rescues.is_empty():
        return None
    data = answered.rescues.with_columns(
        name=_name(answered.rescues, pl.lit(" vs "), pl.col("reference").cast(pl.String)),
        value="rescue_points",
        where=_context(answered),
    )
    caption = (
        "Rescue: the gap of plain nets less that of the shortcut, both against the same shallower depth (difference "
        f"in differences, percent points; right: the shortcut helps), {_n(data)}. Bar: 95 % t interval over seeds, one "
        f"number a seed since twins share it; a side without a bar has no bound. {_band(answered.study.delta)}"
    )
    extra = ("reference", "fraction", "fraction_lower", "fraction_upper", "method", "correlation", "pairing")
    return _forest(data, answered.study.delta, caption, "rescue (points)", extra)


def rates(answered: Answer) -> Drawing | None:
    """The gap where each depth has its own best learning rate."""
    if answered.rates.is_empty():
        return None
    lr = pl.col("lr").cast(pl.String)
    name = _name(answered.rates, pl.lit(" (lr "), lr, pl.lit(") vs "), pl.col("against").cast(pl.String))
    name = pl.concat_str(name, pl.lit(" (lr "), pl.col("lr_against").cast(pl.String), pl.lit(")"))
    data = answered.rates.with_columns(name=name, value="gap_points", verdict=pl.lit(""), where=pl.lit(""))
    caption = (
        "Gap when every depth has the learning rate that was best for it, chosen on seeds that are in no comparison "
        f"(percent points of clean training error), {_n(data)}. Bar: 95 % interval. {_band(answered.study.delta)}"
    )
    return _forest(data, answered.study.delta, caption, "gap at best rate (points)", ("lr", "against", "lr_against"))


def _name(table: pl.DataFrame, *rest: pl.Expr) -> pl.Expr:
    words = pl.col("shortcut").replace({"none": "plain"})
    parts = [words, pl.lit(" "), pl.col("depth").cast(pl.String), *rest]
    return pl.concat_str(parts)


def _context(answered: Answer) -> pl.Expr:
    """Said of the rows that are not of the main context; short where only the budget differs."""
    words = {context: context.partition(", ")[0] for context in budgets(answered)}
    return (
        pl.when("main")
        .then(pl.lit(""))
        .otherwise(pl.concat_str(pl.lit("at "), pl.col("context").replace(words), pl.lit(": ")))
    )


def _n(data: pl.DataFrame) -> str:
    low, high = min(data["n"]), max(data["n"])
    where = f" at {data.filter('main')['context'][0]} unless the row says otherwise" if _several(data) else ""
    return (f"n = {low} seed{'s' * (low > 1)}" if low == high else f"n = {low} to {high} seeds") + where


def _several(data: pl.DataFrame) -> bool:
    return "main" in data.columns and bool(data["main"].any()) and not data["main"].all()


def _band(delta: float) -> str:
    return f"Grey: the margin of ±{delta:g} points that was declared to matter. "


def _open(data: pl.DataFrame) -> str:
    interim = data["interim"].fill_null(value=False).any()
    return "Open marks: interim numbers between looks, which decide nothing." if interim else ""


def _forest(data: pl.DataFrame, delta: float, caption: str, title: str, extra: tuple[str, ...]) -> Drawing:
    found = order(data["shortcut"].to_list())
    rank = pl.col("shortcut").replace_strict({name: place for place, name in enumerate(found)}, return_dtype=pl.Int64)
    first = [pl.col("main").not_()] if "main" in data.columns else []
    last = [pl.col("steps")] if "steps" in data.columns else []
    data = data.sort([*first, *last, rank, pl.col("depth")])
    verdict = pl.col("verdict").fill_null("")
    second = pl.concat_str("where", verdict)
    row = pl.concat_str("name", pl.when(second != "").then(pl.concat_str(pl.lit("|"), second)).otherwise(pl.lit("")))
    drawn = data.select(
        *("shortcut", "depth", "n", "value", "verdict"),
        *(name for name in extra if name in data.columns),
        row=row,
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}),
        low=pl.col("lower_points").fill_null(pl.col("value")),
        high=pl.col("upper_points").fill_null(pl.col("value")),
        interval=pl.when(pl.col("lower_points").is_null() & pl.col("upper_points").is_null())
        .then(pl.lit("none"))
        .otherwise(
            pl.concat_str(pl.lit("["), _bound("lower_points"), pl.lit(", "), _bound("upper_points"), pl.lit("]"))
        ),
    )
    if "interim" not in drawn.columns:
        drawn = drawn.with_columns(interim=pl.lit(False))
    chart = _rows(drawn, found, delta=delta, title=title, extra=[name for name in extra if name in data.columns])
    return Drawing(chart, caption.strip(), data.drop("value", "where", "name"))


def _bound(name: str) -> pl.Expr:
    return pl.col(name).round(2).cast(pl.String).fill_null("no bound")


def _rows(drawn: pl.DataFrame, found: list[str], *, delta: float, title: str, extra: list[str]) -> Any:
    two = len(drawn) <= FEW
    label = "split(datum.label, '|')" if two else "replace(datum.label, '|', ': ')"
    axis = alt.Axis(labelExpr=label, labelLimit=0, title=None, grid=False, domain=False, ticks=False, labelPadding=8)
    y = alt.Y("row:N", sort=drawn["row"].to_list(), axis=axis)
    low, high = min(*drawn["low"], -delta), max(*drawn["high"], delta)
    scale, ticks = style.points(low, high, delta)
    x = alt.X("value:Q", title=title, scale=scale, axis=ticks)
    colour, shape = style.colour(found), style.shape(found)
    tip = [alt.Tooltip("arm:N"), *(alt.Tooltip(name) for name in ("depth", "n", "verdict"))]
    tip += [alt.Tooltip("value:Q", title="points", format="+.2f"), alt.Tooltip("interval:N")]
    tip += [
        alt.Tooltip(name, format=".3~g") if drawn[name].dtype == pl.Float64 else alt.Tooltip(name) for name in extra
    ]
    base = alt.Chart(drawn).encode(y=y)
    band = alt.Chart(pl.DataFrame({"from": [-delta], "to": [delta]}))
    return alt.layer(
        band.mark_rect(color=style.GREY, opacity=0.3).encode(x=alt.X("from:Q", title=title, scale=scale), x2="to:Q"),
        alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(strokeWidth=1).encode(x=alt.X("zero:Q", title=title)),
        base.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q", title=title), x2="high:Q", color=colour),
        base.transform_filter("!datum.interim")
        .mark_point(filled=True, size=90, opacity=1)
        .encode(x=x, color=colour, shape=shape, tooltip=tip),
        base.transform_filter("datum.interim")
        .mark_point(size=80, strokeWidth=2)
        .encode(x=x, color=colour, shape=shape, tooltip=tip),
    ).properties(width="container", height=len(drawn) * (34 if two else 18))
