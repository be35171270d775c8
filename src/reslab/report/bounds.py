"""Intervals as they are written and drawn: a side without a bound is open, and never looks like a bound."""

from typing import Any, Literal

import altair as alt
import polars as pl

DECIDES = (
    "Bar: the interval [L, U] that decides, each bound at its own one-sided level (levels L / U in the table). The "
    "verdicts hold over the whole family (looks, Holm, comparisons), at 2.5 % a side; the bounds of a family do not "
    "hold all at once. "
)
OPEN = "Dashed line with an arrow: no bound on that side. "
HOLLOW = "Hollow mark: no interval, or interim numbers between looks. "
HEADS = {"x": ("triangle-left", "triangle-right"), "y": ("triangle-down", "triangle-up")}


def fixed(value: str | pl.Expr, digits: int, *, sign: bool = False) -> pl.Expr:
    """Fixed digits with separators of thousands, as a string; null stays null."""
    column = pl.col(value) if isinstance(value, str) else value
    form = f"{'+' * sign},.{digits}f"
    return column.map_elements(lambda x: format(round(x, digits) + 0.0, form), return_dtype=pl.String)


def interval(lower: str, upper: str, *, sign: bool = False, digits: int = 2) -> pl.Expr:
    """[low, high], a side without a bound "open"; null where there is no interval."""
    low, high = (fixed(name, digits, sign=sign).fill_null("open") for name in (lower, upper))
    both = pl.concat_str(pl.lit("["), low, pl.lit(", "), high, pl.lit("]"))
    return pl.when(pl.col(lower).is_null() & pl.col(upper).is_null()).then(None).otherwise(both)


def points(value: str, lower: str, upper: str) -> pl.Expr:
    """A difference with its interval; null where there is no difference."""
    bounds = interval(lower, upper, sign=True).fill_null("no interval")
    return pl.concat_str(fixed(value, 2, sign=True), pl.lit(" "), bounds)


def levels() -> pl.Expr:
    """The one-sided error probabilities of the two bounds; none before a look."""
    low, high = (
        pl.col(f"{side}_level").map_elements(lambda x: f"{x:.2g}", return_dtype=pl.String)
        for side in ("lower", "upper")
    )
    return pl.concat_str(low, pl.lit(" / "), high).fill_null("")


def without(lower: str = "lower_points", upper: str = "upper_points") -> pl.Expr:
    """Whether a row has no bound on either side."""
    return pl.col(lower).is_null() & pl.col(upper).is_null()


def ends(table: pl.DataFrame, *, low: float, high: float) -> pl.DataFrame:
    """With from and to (the bar, which ends at the point on an open side), open ("", low, high) and tip (axis end)."""
    lower, upper = pl.col("lower_points"), pl.col("upper_points")
    none = without()
    side = pl.when(none).then(pl.lit("")).when(lower.is_null()).then(pl.lit("low"))
    table = table.with_columns(open=side.when(upper.is_null()).then(pl.lit("high")).otherwise(pl.lit("")))
    return table.with_columns(
        none=none,
        begin=pl.when(~none).then(lower.fill_null(pl.col("value"))),
        end=pl.when(~none).then(upper.fill_null(pl.col("value"))),
        tip=pl.when(pl.col("open") == "low")
        .then(pl.lit(low))
        .otherwise(pl.when(pl.col("open") == "high").then(pl.lit(high))),
        interval=interval("lower_points", "upper_points", sign=True).fill_null(
            pl.concat_str(pl.lit("no interval at n = "), pl.col("n").cast(pl.String))
        ),
    )


def bars(base: Any, drawn: pl.DataFrame, colour: alt.Color, *, channel: Literal["x", "y"], title: str) -> list[Any]:
    """Solid between bounds; on an open side dashed from the point to the end of the axis, with an arrow's head."""
    field = alt.X if channel == "x" else alt.Y

    def rule(data: Any, first: str, last: str, *, dash: list[int]) -> Any:
        places = {channel: field(f"{first}:Q", title=title), f"{channel}2": f"{last}:Q"}
        return data.mark_rule(strokeWidth=2.5, strokeDash=dash).encode(color=colour, **places)

    layers = [rule(base.transform_filter("!datum.none"), "begin", "end", dash=[1, 0])]
    if (drawn["open"] != "").any():
        layers.append(rule(base.transform_filter("datum.open != ''"), "value", "tip", dash=[3, 4]))
    for side, head in zip(("low", "high"), HEADS[channel], strict=True):
        if (drawn["open"] == side).any():
            marks = base.transform_filter(f"datum.open == '{side}'").mark_point(
                shape=head, size=90, filled=True, opacity=1
            )
            layers.append(marks.encode(color=colour, **{channel: field("tip:Q", title=title)}))
    return layers


def reach(table: pl.DataFrame, delta: float) -> tuple[float, float]:
    """From the lowest to the highest of points, bounds and margin, with room for the arrows of open sides."""
    seen = [v for name in ("value", "lower_points", "upper_points") for v in table[name].drop_nulls()]
    low, high = min(*seen, -delta), max(*seen, delta)
    whole = table.filter(~without())
    room = 0.25 * (high - low)
    below, above = whole["lower_points"].has_nulls(), whole["upper_points"].has_nulls()
    return low - room * below, high + room * above
