"""P6: how much each unit's branch adds to what travels around it, against the unit's place in the net."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import instrument
from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import order


def branches(answered: Answer) -> Drawing | None:
    """Variance of the branch over that of the shortcut, log-log, depths overlaid, first and last recorded step."""
    found = instrument.values(answered, probe="branch_ratio", statistic="variance_ratio", deepest=False)
    if found.rows.is_empty():
        return None
    ends = found.rows.filter(
        (pl.col("step") == pl.col("step").min().over("shortcut", "depth"))
        | (pl.col("step") == pl.col("step").max().over("shortcut", "depth"))
    )
    data = instrument.over_seeds(ends)
    facets = [(name, step) for name in order(data["shortcut"]) for step in _steps(data, name)]
    named = {f"{name}/{step}": f"{net(name)}, step {step:,}" for name, step in facets}
    keys = pl.concat_str("shortcut", pl.lit("/"), pl.col("step"))
    drawn = data.with_columns(panel=keys.replace_strict(named, return_dtype=pl.String), unit="place")
    caption = (
        "Variance of the branch's output over that of the shortcut's output (a plain unit: over its input) against the "
        "unit's place in the net, both axes logarithmic, at the first and the last recorded step; geometric mean over "
        f"seeds ({found.said}). Dotted: 1/l, the law of a pre-activation net with BatchNorm at initialisation."
    )
    chart = chart_of(drawn, list(named.values()), place="unit of the net (first = 1)")
    return Drawing(chart, f"{caption} {found.missing}".strip(), data, brief=caption)


def _steps(data: pl.DataFrame, shortcut: str) -> list[int]:
    return sorted(set(data.filter(shortcut=shortcut)["step"]))


def chart_of(data: pl.DataFrame, panels: list[str], *, place: str) -> Any:
    """Lines of `value` against `unit`, one colour per depth, one picture per `panel`, with the 1/l guide."""
    shown = data.filter(pl.col("value").is_finite() & (pl.col("value") > 0))
    depths = [str(depth) for depth in sorted(set(shown["depth"]))]
    longest = shown.group_by("panel", maintain_order=True).agg(unit=pl.col("unit").max())
    guide = pl.concat(
        [longest.with_columns(unit=pl.lit(1, dtype=pl.Int64)), longest.select("panel", "unit")], how="vertical"
    ).with_columns(value=1 / pl.col("unit"), part=pl.lit("guide"))
    rows = pl.concat(
        [shown.select("panel", "unit", "value", "depth", part=pl.lit("net")), guide.unique(maintain_order=True)],
        how="diagonal",
    ).with_columns(layers=pl.col("depth").cast(pl.String))
    x = alt.X("unit:Q", title=place, scale=style.log_axis([1, *shown["unit"]]), axis=style.ladder([1, *shown["unit"]]))
    y = alt.Y(
        "value:Q",
        title="branch / shortcut (variance)",
        scale=alt.Scale(type="log", nice=False),
        axis=style.powers(rows["value"]),
    )
    colour = alt.Color("layers:N", title="depth", sort=depths, scale=style.depths(depths))
    base = alt.Chart(rows).encode(x=x, y=y)
    tip = [alt.Tooltip("panel:N", title="net"), alt.Tooltip("depth:Q"), alt.Tooltip("unit:Q")]
    tip += [alt.Tooltip("value:Q", title="ratio", format=".3~g")]
    nets = base.transform_filter("datum.part == 'net'")
    chart = alt.layer(
        base.transform_filter("datum.part == 'guide'").mark_line(strokeDash=[2, 3], color=style.GREY),
        nets.mark_line(strokeWidth=1.5).encode(color=colour),
        nets.mark_point(filled=True, size=16, opacity=1).encode(color=colour, tooltip=tip),
    ).properties(width=300, height=200)
    facet = alt.Facet("panel:N", title=None, sort=panels, header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=min(2, len(panels)))
