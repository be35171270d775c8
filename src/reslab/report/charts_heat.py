"""P4 and P5: a net over training as a heat map, layer against step, one picture per shortcut on one colour scale."""

import math
from typing import Any

import altair as alt
import polars as pl

from reslab.analysis import instrument
from reslab.analysis.answer import Answer
from reslab.analysis.init_grid import THEORY, number
from reslab.analysis.wording import net
from reslab.report.drawing import Drawing
from reslab.report.names import order

FROZEN = 0.1  # of the equilibrium angle: D3's freeze index counts what turns by less
OVERLAP = 0.3  # of a cell, so that no background shines through between neighbours
TICKS = 9  # labels of the step axis, about


def gradients(answered: Answer) -> Drawing | None:
    """P4: gradient norm of each unit over that of the last, log10; how fast it grows a layer stands below."""
    found = instrument.values(answered, probe="signal_propagation", statistic="gradient_norm", deepest=True)
    units = found.rows.filter(pl.col("layer").str.starts_with("trunk."))
    last = ["shortcut", "depth", "seed", "step"]
    relative = units.with_columns(value=pl.col("value") / pl.col("value").sort_by("place").last().over(last))
    data = instrument.over_seeds(relative.with_columns(place=pl.col("place").rank("dense").over(last).cast(pl.Int64)))
    if data.is_empty():
        return None
    brief = (
        f"log10 of the norm of the loss's gradient by a unit's output over that by the last unit's, the deepest nets; "
        f"units from the input (below) to the output (above), recorded steps from left to right (log-spaced); batch "
        f"statistics, geometric mean over seeds ({found.said}). Red: larger than at the last unit; blue: smaller."
    )
    chart = _heat(data, legend="log10 relative gradient norm", place="unit", contour=None)
    reading = (
        "Factor by which the squared gradient norm grows per weighted layer towards the input, by stage; theory for a "
        f"plain net with ReLU and BatchNorm at initialisation: pi/(pi-1) = {THEORY:.3f} (Yang et al. 2019)."
    )
    return Drawing(chart, f"{brief} {found.missing}".strip(), data, _growth(answered), brief=brief, reading=reading)


def geometry(answered: Answer) -> Drawing | None:
    """P5: the angle by which one step turns a convolution over the equilibrium angle, log10; norm growth below."""
    found = instrument.values(answered, probe="update_geometry", statistic="angle_over_equilibrium", deepest=True)
    data = instrument.over_seeds(found.rows)
    if data.is_empty():
        return None
    brief = (
        f"log10 of the angle by which a step turns a convolution's weights over the equilibrium angle "
        f"sqrt(2 lr wd / (1 + momentum)), the deepest nets; convolutions from the input (below) to the output (above), "
        f"recorded steps from left to right (log-spaced); geometric mean over seeds ({found.said}). Black line: the "
        f"border of what counts as frozen, less than {FROZEN:g} of the equilibrium angle, on its blue side."
    )
    chart = _heat(data, legend="log10 (angle / equilibrium angle)", place="convolution", contour=math.log10(FROZEN))
    reading = (
        "Norm growth: a convolution's weight norm over that at step 0. Frozen: share of convolutions that turn by less "
        f"than {FROZEN:g} of the equilibrium angle, at its largest and at the last step."
    )
    return Drawing(chart, f"{brief} {found.missing}".strip(), data, _frozen(answered), brief=brief, reading=reading)


def _growth(answered: Answer) -> pl.DataFrame:
    """One line per net and end of training: growth by stage, first over last unit."""
    names = ("backward_growth", "gradient_ratio", "depth_scale")
    rows = instrument.values(answered, probe="signal_propagation", statistic=names, deepest=True).rows
    means, lines = instrument.over_seeds(rows.drop("place")), []
    for name in order(means["shortcut"]):
        own = means.filter(shortcut=name)
        for step in dict.fromkeys((min(own["step"]), max(own["step"]))):
            at = own.filter(step=step)
            growth = at.filter(statistic="backward_growth").sort("layer")
            stages = {
                f"stage {int(layer.rpartition('.')[2]) + 1}": number(value)
                for layer, value in growth.select("layer", "value").iter_rows()
            }
            lines.append({"net": f"{net(name)} {own['depth'][0]}", "step": f"{step:,}"} | stages | _ends(at))
    return pl.DataFrame(lines, infer_schema_length=None).fill_null("")


def _ends(at: pl.DataFrame) -> dict[str, str]:
    values = dict(at.filter(layer="trunk").select("statistic", "value").iter_rows())
    return {
        "pi/(pi-1)": f"{THEORY:.3f}",
        "first / last unit": number(values.get("gradient_ratio")),
        "xi (layers)": number(values.get("depth_scale", math.inf)),
    }


def _frozen(answered: Answer) -> pl.DataFrame:
    """One line per net: largest norm growth with its place and step, the freeze index."""
    names = ("norm_growth", "freeze_index")
    rows = instrument.values(answered, probe="update_geometry", statistic=names, deepest=True).rows
    grown = instrument.over_seeds(rows.filter(statistic="norm_growth"))
    index = rows.filter(pl.col("statistic") == "freeze_index", pl.col("value").is_finite())
    index = index.group_by("shortcut", "step", maintain_order=True).agg(pl.col("value").mean())
    lines = []
    for name in order(grown["shortcut"]):
        own, frozen = grown.filter(shortcut=name), index.filter(shortcut=name).sort("step")
        most, last = own.sort("value").row(-1, named=True), own.filter(pl.col("step") == pl.col("step").max())
        line = {
            "net": f"{net(name)} {own['depth'][0]}",
            "largest norm growth": f"{most['value']:,.1f}",
            "of": most["layer"],
            "at step": f"{most['step']:,}",
            "first convolution at the end": f"{last.sort('place')['value'][0]:,.2f}",
        }
        if not frozen.is_empty():
            peak = frozen.sort("value").row(-1, named=True)
            line |= {"most frozen": f"{100 * peak['value']:.0f} % at step {peak['step']:,}"}
            line |= {"frozen at the end": f"{100 * frozen['value'][-1]:.0f} %"}
        lines.append(line)
    return pl.DataFrame(lines, infer_schema_length=None).fill_null("")


def _heat(data: pl.DataFrame, *, legend: str, place: str, contour: float | None) -> Any:
    """Cells `place` by step, coloured by log10 of `value` around 0; a line where the value crosses `contour`."""
    steps = sorted(set(data["step"]))
    found = order(data["shortcut"])
    columns = {step: at for at, step in enumerate(steps)}
    words = {name: f"{net(name)} {data.filter(shortcut=name)['depth'][0]}" for name in found}
    cells = data.with_columns(
        log=pl.col("value").log10(),
        left=pl.col("step").replace_strict(columns, return_dtype=pl.Float64),
        bottom=pl.col("place") - 0.5,
        top=pl.col("place") + 0.5 + OVERLAP,
        net=pl.col("shortcut").replace_strict(words),
        part=pl.lit("cell"),
    ).with_columns(right=pl.col("left") + 1 + OVERLAP)
    cells = cells.sort("net", "left", "place")  # each drawn over the overlap of the ones before
    rows = [cells.drop("statistic", strict=False)]
    if contour is not None:
        rows.append(_border(cells, contour))
    reach = max(float(cells["log"].abs().max() or 0), 0.1)  # type: ignore[arg-type]  # polars: any literal
    base = alt.Chart(pl.concat(rows, how="diagonal")).encode(
        x=alt.X("left:Q", title="optimiser step", scale=_exact(0.0, float(len(steps))), axis=_steps(steps)),
        x2="right:Q",
        y=alt.Y(
            "bottom:Q",
            title=f"{place} (first = 1)",
            scale=_exact(0.5, max(cells["place"]) + 0.5),
            axis=alt.Axis(grid=False, tickMinStep=1),
        ),
        y2="top:Q",
    )
    scale = alt.Scale(domain=[-reach, 0, reach], range=["#2166ac", "#f7f7f7", "#b2182b"], interpolate="lab")
    colour = alt.Color(
        "log:Q", title=legend, scale=scale, legend=alt.Legend(gradientLength=220, format="~g", titleLimit=0)
    )
    tip = [alt.Tooltip("net:N"), alt.Tooltip("layer:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("n:Q")]
    tip += [alt.Tooltip("log:Q", title="log10", format=".2f"), alt.Tooltip("value:Q", format=".3~g")]
    layers = [base.transform_filter("datum.part == 'cell'").mark_rect(clip=True).encode(color=colour, tooltip=tip)]
    if contour is not None:
        layers.append(base.transform_filter("datum.part == 'border'").mark_rule(color="black", strokeWidth=1.2))
    chart = alt.layer(*layers).properties(width=300, height=300)
    facet = alt.Facet("net:N", title=None, sort=list(words.values()), header=alt.Header(labelAnchor="start"))
    return chart.facet(facet=facet, columns=min(2, len(found)))


def _exact(low: float, high: float) -> alt.Scale:
    return alt.Scale(domain=[low, high], nice=False, zero=False)


def _steps(steps: list[int]) -> alt.Axis:
    """Every few columns labelled with its step, in the middle of the column."""
    every = -(-len(steps) // TICKS)
    shown = range(0, len(steps), every)
    words = str([f"{step:,}" for step in steps])
    return alt.Axis(
        values=[at + 0.5 for at in shown], labelExpr=f"{words}[floor(datum.value)]", grid=False, labelOverlap=False
    )


def _border(cells: pl.DataFrame, contour: float) -> pl.DataFrame:
    """Segments between neighbours on both sides of the contour."""
    lines = []
    for (name,), own in cells.group_by("net", maintain_order=True):
        below = {(row[0], row[1]): row[2] < contour for row in own.select("left", "place", "log").iter_rows()}
        for (left, place), frozen in below.items():
            if below.get((left + 1, place), frozen) != frozen:
                lines.append(
                    {"left": left + 1, "right": left + 1, "bottom": place - 0.5, "top": place + 0.5, "net": name}
                )
            if below.get((left, place + 1), frozen) != frozen:
                lines.append({"left": left, "right": left + 1, "bottom": place + 0.5, "top": place + 0.5, "net": name})
    schema = dict.fromkeys(("left", "right", "bottom", "top"), pl.Float64) | {"net": pl.String}
    return pl.DataFrame(lines, schema=schema).with_columns(part=pl.lit("border"))
