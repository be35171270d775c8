"""P7, dead units and rank: one number per layer, from the input to the output, early and late in training."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import instrument
from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, order


def shattering(answered: Answer) -> Drawing | None:
    """P7: mean cosine between the gradients of two images, by the output of each unit."""
    found = instrument.values(
        answered, probe="shattered_gradients", statistic="gradient_cosine", deepest=True, bn="frozen"
    )
    units = found.rows.filter(pl.col("layer").str.starts_with("trunk."))
    words = (
        "Mean cosine between the gradients of two different images by the output of a unit, BatchNorm's statistics "
        "frozen: 1 where all images ask the same of the layer, 0 where gradients are white noise. Dotted: 2^-L, the "
        "law of a plain net with BatchNorm at initialisation, two activations a unit."
    )
    return _profile(found, units, words, axis="cosine", place="unit", guide=True)


def rank(answered: Answer) -> Drawing | None:
    """Effective rank of each unit's pooled features, as a share of the largest possible."""
    found = instrument.values(answered, probe="effective_rank", statistic="rank_share", deepest=True)
    words = (
        "Effective rank (e to the entropy of the singular values' shares; Roy and Vetterli 2007) of each unit's "
        "features, averaged over positions and centred over the images of the probe batch, over the largest possible."
    )
    return _profile(found, found.rows, words, axis="effective rank / largest possible", place="unit", guide=False)


def dead(answered: Answer) -> Drawing | None:
    """Share of channels that are dead behind each activation."""
    found = instrument.values(answered, probe="dead_units", statistic="dead", deepest=True)
    words = "Share of channels that are zero at every position of every image of the probe batch, behind each ReLU."
    return _profile(found, found.rows, words, axis="dead channels (share)", place="ReLU", guide=False)


def _profile(
    found: instrument.Recorded, rows: pl.DataFrame, words: str, *, axis: str, place: str, guide: bool
) -> Drawing | None:
    """Means over seeds against the place in the net, at the first, a middle and the last recorded step."""
    rows = rows.filter(pl.col("value").is_finite() & (pl.col("layer") != "trunk"))
    if rows.is_empty():
        return None
    rows = rows.with_columns(place=pl.col("place").rank("dense").over("shortcut", "depth").cast(pl.Int64))
    steps = _three(rows["step"].unique().sort().to_list())
    by = ["shortcut", "depth", "step", "layer", "place"]
    data = rows.filter(pl.col("step").is_in(steps)).group_by(by, maintain_order=True)
    means = data.agg(value=pl.col("value").mean(), n=pl.len())
    brief = (
        f"{words} Of each shortcut the deepest net ({_nets(means)}), from the input (left) to the output (right); mean "
        f"over seeds ({found.said})."
    )
    chart = _chart(means, steps, axis, place, guide)
    return Drawing(chart, f"{brief} {found.missing}".strip(), means, brief=brief)


def _nets(means: pl.DataFrame) -> str:
    pairs = means.select("shortcut", "depth").unique(maintain_order=True).iter_rows()
    return ", ".join(f"{net(shortcut)} {depth}" for shortcut, depth in pairs)


def _three(steps: list[int]) -> list[int]:
    """First, middle and last: log-spaced steps put the middle early, where nets part."""
    return sorted({steps[0], steps[len(steps) // 2], steps[-1]})


def _chart(means: pl.DataFrame, steps: list[int], axis: str, place: str, guide: bool) -> Any:
    names = order(means["shortcut"])
    titles = [f"step {step:,}" for step in steps]
    rows = means.with_columns(
        arm=pl.col("shortcut").replace_strict({name: arm(name) for name in names}),
        net=pl.concat_str(pl.col("shortcut").replace_strict({n: net(n) for n in names}), pl.lit(" "), "depth"),
        panel=pl.concat_str(pl.lit("step "), pl.col("step").map_elements("{:,}".format, return_dtype=pl.String)),
    )
    if guide:
        rows = pl.concat([rows, _halves(rows)], how="diagonal")
    values = rows["value"].to_list()
    base = alt.Chart(rows.with_columns(guide=pl.col("net").is_null())).encode(
        x=alt.X("place:Q", title=f"{place} (first = 1)", axis=alt.Axis(grid=False, tickMinStep=1)),
        y=alt.Y("value:Q", title=axis, scale=alt.Scale(domain=[min(0.0, *values), max(0.05, *values)])),
    )
    tip = ["net:N", "layer:N", "step:Q", alt.Tooltip("value:Q", format=".3~g"), "n:Q"]
    colour, nets = style.colour(names), base.transform_filter("!datum.guide")
    chart = alt.layer(
        base.transform_filter("datum.guide").mark_line(strokeDash=[2, 3], color=style.GREY),
        nets.mark_line(strokeWidth=1.6).encode(color=colour),
        nets.mark_point(filled=True, size=18, opacity=1).encode(color=colour, shape=style.shape(names), tooltip=tip),
    ).properties(width=220, height=200)
    facet = alt.Facet("panel:N", title=None, sort=titles, header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=3)


def _halves(rows: pl.DataFrame) -> pl.DataFrame:
    """Two activations in every unit behind, as in a basic block, at the first step."""
    first = rows.filter(pl.col("step") == pl.col("step").min())
    place = pl.col("place")
    halves = (0.25 ** (place.max() - place)).alias("value")
    return first.select("panel", "place").unique(maintain_order=True).with_columns(halves).sort("place")
