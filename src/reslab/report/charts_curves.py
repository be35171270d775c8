"""Clean training error while training: the deepest nets against the shallowest, one picture per shortcut."""

import math
from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import answer as analysis
from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.report import style
from reslab.report.drawing import Drawing
from reslab.report.names import arm, nets, order


def curves(answered: Answer) -> Drawing | None:
    """P3: thin lines are runs, thick ones means, bands run from the smallest to the largest seed at each step."""
    raw = analysis.curves(answered)
    if raw.is_empty():
        return None
    data = raw.filter(pl.col("step") > 0).drop_nulls("error")
    if data.is_empty():
        return None
    floor = _one_image(answered, data)
    data = data.with_columns(percent=100 * pl.max_horizontal("error", pl.lit(floor)))
    data = data.with_columns(role=_roles(data))
    found = order(data["shortcut"].to_list())
    data = data.with_columns(arm=pl.col("shortcut").replace_strict({name: arm(name) for name in found}), net=nets())
    drops = _drops(data)
    chance = max(answered.runs["chance"].to_list(), default=None)
    seeds = data.group_by("shortcut", "depth").agg(n=pl.col("seed").n_unique())["n"]
    few, many = min(seeds), max(seeds)
    n = f"n = {few}" if few == many else f"n = {few} to {many}"
    below = f", floored at one image: {100 * floor:.3g} %" if (data["error"] < floor).any() else ""
    context = answered.runs.filter("main")["context"].to_list()[:1]
    brief = (
        f"Clean training error (%, log axis{below}) against optimiser step (log "
        f"axis; step 0 is left out), {', '.join(context)}. Thin lines: runs; thick line: mean over seeds; band: "
        f"smallest to largest seed, pointwise at each step, not a confidence band ({n} in each cell)."
    )
    caption = brief + (f" Dashed line: chance, {100 * chance:.3g} %." if chance else "")
    caption += " Dotted upright line: the learning rate falls." if not drops.is_empty() else ""
    return Drawing(_chart(data, drops, found, chance=chance), caption, raw, brief=brief)


def _roles(data: pl.DataFrame) -> pl.Expr:
    """Deepest or shallowest of its shortcut, with the depth where all shortcuts have the same."""
    deepest = pl.col("depth") == pl.col("depth").max().over("shortcut")
    words = pl.when(deepest).then(pl.lit("deepest")).otherwise(pl.lit("shallowest"))
    if data["depth"].n_unique() > 2:
        return words
    return pl.concat_str(words, pl.lit(": "), pl.col("depth").cast(pl.String), pl.lit(" layers"))


def _one_image(answered: Answer, data: pl.DataFrame) -> float:
    """The smallest error that is not 0: exact where the images are counted, else the smallest that was seen."""
    if "images" in answered.runs.columns and (n := answered.runs["images"].drop_nulls().max()):
        return 1 / float(n)  # type: ignore[arg-type]  # polars: any literal
    seen = data.filter(pl.col("error") > 0)["error"].min()
    return float(seen) if isinstance(seen, float) else 1e-3


def _drops(data: pl.DataFrame) -> pl.DataFrame:
    """Where the recorded rate is smaller than at the row before."""
    run = ["shortcut", "depth", "seed"]
    rates = data.drop_nulls("lr").sort(*run, "step").with_columns(before=pl.col("lr").shift(1).over(run))
    falls = rates.filter(pl.col("lr") < pl.col("before") * (1 - 1e-9)).unique("step").sort("step")
    words = pl.concat_str(pl.lit("lr "), pl.col("before").cast(pl.String), pl.lit(" → "), pl.col("lr").cast(pl.String))
    return falls.select("step", text=words).head(8)  # a smooth schedule falls at every row; its start is enough


def _chart(data: pl.DataFrame, drops: pl.DataFrame, found: list[str], *, chance: float | None) -> Any:
    title = "clean training error (%)"
    steps = sorted(set(data["step"]))
    x = alt.X("step:Q", title="optimiser step", scale=style.log_axis(steps), axis=_ticks(steps))
    bottom = _below(min(data["percent"].to_list()))
    scale = alt.Scale(type="log", nice=False, domain=[bottom, 100])
    y = alt.Y("percent:Q", title=title, scale=scale, axis=alt.Axis(format="~g", values=_ladder(bottom)))
    keys = ["arm", "net", "role", "depth", "step"]
    summary = data.group_by(keys, maintain_order=True).agg(
        percent=pl.col("percent").mean(), low=pl.col("percent").min(), high=pl.col("percent").max(), n=pl.len()
    )
    every = data.select(*keys, "seed", "percent", part=pl.lit("run"))
    rows = [every, summary.with_columns(part=pl.lit("mean"))]
    if not drops.is_empty():
        rows.append(
            data.select("net").unique(maintain_order=True).join(drops, how="cross").with_columns(part=pl.lit("drop"))
        )
    if chance:
        each = data.select("net").unique(maintain_order=True)
        rows.append(each.with_columns(percent=pl.lit(100 * chance), text=pl.lit("chance"), part=pl.lit("chance")))
    base = alt.Chart(pl.concat(rows, how="diagonal")).encode(x=x)
    colour = style.colour(found, legend=False)
    roles = sorted(data["role"].unique(), reverse=True)  # shallowest first
    dash = alt.StrokeDash(
        "role:N", title="depth", scale=alt.Scale(domain=roles, range=[[5, 3], [1, 0]][: len(roles)]), sort=roles
    )
    means = base.transform_filter("datum.part == 'mean'")
    tip = [alt.Tooltip("net:N", title="net"), *(alt.Tooltip(name) for name in ("role:N", "depth:Q"))]
    tip += [alt.Tooltip("step:Q", format=","), alt.Tooltip("n:Q")]
    tip += [alt.Tooltip(f"{name}:Q", title=said, format=".3~g") for name, said in _SAID.items()]
    layers = [
        means.mark_area(opacity=0.16).encode(
            y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q", color=colour, detail="role:N"
        ),
        base.transform_filter("datum.part == 'run'")
        .mark_line(strokeWidth=0.8, opacity=0.55)
        .encode(y=y, color=colour, strokeDash=dash, detail="seed:N"),
        means.mark_line(strokeWidth=2.2).encode(y=y, color=colour, strokeDash=dash),
        means.mark_point(filled=True, size=28, opacity=1).encode(y=y, color=colour, tooltip=tip, detail="role:N"),
    ]
    if not drops.is_empty():
        fell = base.transform_filter("datum.part == 'drop'")
        layers.append(fell.mark_rule(strokeDash=[2, 3], color=style.GREY).encode(tooltip=["step:Q", "text:N"]))
        layers.append(
            fell.mark_text(align="right", dx=-3, baseline="top", color=style.GREY).encode(y=alt.value(2), text="text:N")
        )
    if chance:
        line = base.transform_filter("datum.part == 'chance'").mark_rule(strokeDash=[5, 4], color=style.GREY)
        said = [alt.Tooltip("text:N", title="line"), alt.Tooltip("percent:Q", title="%")]
        layers.append(line.encode(y=y, x=alt.value(0), x2=alt.value("width"), tooltip=said))
    chart = alt.layer(*layers).properties(width=300, height=240)
    facet = alt.Facet("net:N", title=None, sort=[net(name) for name in found], header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=min(2, len(found)))


_SAID = {"percent": "mean (%)", "low": "smallest (%)", "high": "largest (%)"}


def _below(smallest: float) -> float:
    """The next m x 10^e (m = 1 to 9) below a percentage, 90 at most: where the data begin, the axis does."""
    unit = 10.0 ** math.floor(math.log10(smallest))
    return min(math.floor(smallest / unit) * unit, 90.0)


def _ladder(bottom: float) -> list[float]:
    """Ticks up to 100 %: the fewer decades, the finer."""
    marks = (1, 3) if bottom < 3 else (1, 2, 5) if bottom < 20 else range(1, 10)
    return [m * 10.0**e for e in range(-4, 2) for m in marks if m * 10.0**e >= bottom * (1 - 1e-9)] + [100.0]


def _ticks(steps: list[int]) -> alt.Axis:
    """A 1-2-5 ladder: a log axis over little more than a decade would else have a single label."""
    ladder = [m * 10**e for e in range(8) for m in (1, 2, 5)]
    return alt.Axis(values=[v for v in ladder if steps[0] <= v <= steps[-1]], format=",d", grid=False)
