"""P11: the loss along random directions, plain beside residual, in numbers; and the curvature beside SGD's limit."""

from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import landscape
from reslab.analysis.answer import Answer
from reslab.analysis.studies import studied
from reslab.analysis.wording import net
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import order

WAYS = {"raw": "statistics as trained", "retaken": "statistics retaken"}
TITLE = "loss on training images (nats)"
NORMS = "Upper row: BatchNorm in eval mode, its statistics as trained; lower row: taken anew on them at each point. "
CUT = 100.0  # times the loss of guessing: the axis ends there
NET = ("shortcut", "depth")
READING = (
    "Median [least, most] over directions and seeds. Basin: the part of [-1, 1] on which the loss is below that of "
    "guessing, and the same on other images; not convex: of the points inside, those at which the slice bends "
    "downwards; minima: strict local ones of the whole slice, and how many of them the other images show at the same "
    "place, within one point; noise: how far the losses of the two sets of images are apart inside the basin. What "
    "differs by less than the noise, or does not show again, is the choice of images."
)
CAVEAT = (
    "A slice is no proof: it shows a few lines of a space of hundreds of thousands of dimensions, at a coarse spacing, "
    "and an independent, unpublished replication over 40 epochs did not find the slice of plain-56 chaotic."
)
SHARP = (
    "Median [least, most] over seeds. H: the Hessian of the mean loss by all parameters. D H D: the same in units of "
    "each filter's length, with BatchNorm and biases held still, as in the slices; it does not change when a filter "
    "before a BatchNorm grows, under which H shrinks by the square. Residual: the largest |Hv - λv|; a true eigenvalue "
    "is no further away."
)


def slices(answered: Answer) -> Drawing | None:
    """Loss against the share of the direction; a thin line for each direction, the median, and the range as a band."""
    found = studied(answered, "slices", deepest=False)
    rows = found.rows
    if rows.is_empty():
        return None
    first = rows.filter(subset=landscape.FIRST).with_columns(
        loss=pl.when(pl.col("loss").is_finite()).then(pl.col("loss"))
    )
    loss = pl.col("loss").fill_null(float("inf"))
    middle = first.group_by(*NET, "statistics", "at", maintain_order=True).agg(
        loss=loss.median(), low=loss.min(), high=loss.max(), n=pl.len()
    )
    lines = first.filter(pl.col("seed") == pl.col("seed").min().over(*NET))
    data = pl.concat(
        [
            middle.with_columns(part=pl.lit("median")),
            lines.select(*NET, "seed", "statistics", "direction", "at", "loss", part=pl.lit("line")),
        ],
        how="diagonal",
    ).sort("part", *NET, "statistics", "direction", "at")
    level = max(rows["level"])
    images, directions = (", ".join(f"{n:,}" for n in sorted(set(own))) for own in (rows["images"], _counts(rows)))
    brief = (
        f"Mean loss on {images} training images along {directions} random directions of the weights ({found.said}), "
        "each filter as long as the net's own, BatchNorm and biases held still (Li et al. 2018): at 1 every filter has "
        "moved by its own length. Thin: one direction of the lowest seed; thick: median over directions and seeds; "
        f"band: their range. {NORMS if 'retaken' in set(rows['statistics']) else ''}Grey: the loss of guessing, "
        f"{level:.3g} nats."
    )
    caption = f"{brief} The axis ends at {CUT:g} times that. {CAVEAT}"
    return Drawing(_chart(data, level), caption, data, _table(rows), brief=f"{brief} {CAVEAT}", reading=READING)


def _chart(data: pl.DataFrame, level: float) -> Any:
    found, depths = order(data["shortcut"]), [str(depth) for depth in sorted(set(data["depth"]))]
    top, seen = CUT * level, data["loss"].drop_nulls()
    shown = data.with_columns(
        **{name: pl.col(name).clip(upper_bound=2 * top) for name in ("loss", "low", "high")},
        layers=pl.col("depth").cast(pl.String),
        net=pl.col("shortcut").replace_strict({name: net(name) for name in found}),
        way=pl.col("statistics").replace_strict(WAYS),
        level=pl.lit(level),
    ).with_columns(panel=pl.concat_str("net", pl.lit(", "), "way"))
    domain = [0.7 * min(*seen.filter(seen > 0), level), min(1.3 * max(*seen, level), top)]
    scale = alt.Scale(type="log", domain=domain, nice=False, clamp=False)
    axis = style.powers(domain)
    y = alt.Y("loss:Q", title=TITLE, scale=scale, axis=axis)
    legend = alt.Legend(symbolOpacity=1)
    colour = alt.Color("layers:N", title="depth", sort=depths, scale=style.depths(depths), legend=legend)
    base = alt.Chart(shown).encode(
        x=alt.X("at:Q", title="a: share of the direction", axis=alt.Axis(grid=False, tickCount=5)), color=colour
    )
    lines, median = (base.transform_filter(f"datum.part == '{part}'") for part in ("line", "median"))
    tip = [alt.Tooltip(name) for name in ("net:N", "depth:Q", "at:Q", "n:Q")]
    tip += [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("loss", "low", "high")]
    guess = alt.Chart(shown).encode(x=alt.value(0), x2=alt.value("width"), y=alt.Y("level:Q", title=TITLE, axis=axis))
    chart = alt.layer(
        guess.mark_rule(strokeDash=[2, 3], color=style.GREY),
        median.mark_area(opacity=0.12, clip=True).encode(
            y=alt.Y("low:Q", title=TITLE, scale=scale, axis=axis), y2="high:Q"
        ),
        lines.mark_line(strokeWidth=0.6, opacity=0.7, clip=True).encode(y=y, detail="direction:N"),
        median.mark_line(strokeWidth=2, clip=True).encode(y=y),
        median.mark_point(size=30, opacity=0, clip=True).encode(y=y, tooltip=tip),
    ).properties(width=300, height=200)
    panels = [f"{net(name)}, {way}" for way in WAYS.values() for name in found]
    facet = alt.Facet("panel:N", title=None, sort=panels, header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=len(found))


def _counts(rows: pl.DataFrame) -> list[int]:
    return rows.group_by(*NET, "seed").agg(pl.col("direction").n_unique())["direction"].to_list()


def _table(rows: pl.DataFrame) -> pl.DataFrame:
    found = landscape.spread(landscape.shapes(rows, *NET, "seed"), *NET)
    lines = []
    for row in _in_order(found):
        line = {"net": f"{net(row['shortcut'])} {row['depth']}", "statistics": row["statistics"]}
        line |= {"loss at 0": _spread(row, "centre", 1, ".2g")}
        line |= {
            "basin %": _spread(row, "basin", 100, ".1f"),
            "on other images": _spread(row, "basin_again", 100, ".1f"),
        }
        line |= {"not convex %": _spread(row, "bent", 100, ".0f"), "minima": _spread(row, "minima", 1, ".3g")}
        line |= {"found again": _spread(row, "repeated", 1, ".3g"), "noise, nats": _spread(row, "noise", 1, ".2g")}
        lines.append(line | {"n": str(row["n"])})
    return pl.DataFrame(lines)


def _spread(row: dict[str, Any], name: str, times: int, form: str) -> str:
    if row[name] is None:
        return ""
    middle, low, high = (f"{times * row[key]:{form}}" for key in (name, f"{name}_low", f"{name}_high"))
    return f"{middle} [{low}, {high}]"


def _in_order(found: pl.DataFrame) -> list[dict[str, Any]]:
    shortcuts = order(found["shortcut"])
    return sorted(found.to_dicts(), key=lambda row: (shortcuts.index(row["shortcut"]), row["depth"]))


def curvature(answered: Answer) -> Drawing | None:
    """The largest eigenvalue of every net, raw and filter-normalised, beside the largest that SGD can stand."""
    found = studied(answered, "curvature", deepest=False)
    if found.rows.is_empty():
        return None
    lines: dict[str, dict[str, str]] = {}
    sharp = landscape.sharpness(found.rows, *NET)
    for row in _in_order(sharp):
        line = lines.setdefault(f"{row['shortcut']} {row['depth']}", {"net": f"{net(row['shortcut'])} {row['depth']}"})
        name, residual = ("H", "residual") if row["kind"] == "raw" else ("D H D", "its residual")
        middle, low, high = (_short(row[key]) for key in ("median", "low", "high"))
        line |= {f"largest eigenvalue of {name}": f"{middle} [{low}, {high}]", residual: f"{row['residual']:.1g}"}
        if row["kind"] == "raw":
            line["stable below"] = "" if row["threshold"] is None else _short(row["threshold"])
        line["n"] = str(row["n"])
    images = ", ".join(f"{n:,}" for n in sorted(set(found.rows["images"])))
    caption = (
        f"The largest eigenvalue of the Hessian of the mean loss on {images} training images ({found.said}), BatchNorm "
        "in eval mode, weight decay left out, by Lanczos. Stable below: gradient descent with momentum on a parabola "
        "diverges beyond 2 (1 + momentum) / (learning rate of the last step); training takes other steps, of small "
        "batches and their own statistics, so this is a landmark and no law."
    )
    return Drawing(None, caption, found.rows, pl.DataFrame(list(lines.values())), reading=SHARP)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
