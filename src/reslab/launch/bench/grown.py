"""What a benchmark of growth has found: tables, figures with their targets, pictures. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reslab.launch import resources
from reslab.launch.bench import growth
from reslab.launch.bench.figures import Figure, Measured, Sheet
from reslab.launch.bench.growth import BASE, Step, Swept
from reslab.launch.bench.race import spread
from reslab.report.charts_growth import AXES, MACHINE, WAYS, figures
from reslab.report.figures import write_figures

GIB = 2**30
DEEPEST = 1202  # layers: He 2015, section 4.2
STEPS = {
    **{"axis": pl.String, "value": pl.Int64, "way": pl.String},
    **{"depth": pl.Int64, "batch": pl.Int64, "width": pl.Int64, "size": pl.Int64},
    **{"seconds": pl.Float64, "seconds_limit": pl.Float64, "gib": pl.Float64, "gib_limit": pl.Float64},
    "gib_process": pl.Float64,
}


def measure(asked: Mapping[str, Any], folder: Path, results: Path) -> Measured:
    """All of it, in this order: the limit, points, sweeps; pictures and tables are written into `results`.

    RuntimeError where a worker ends without an answer.
    """
    flops = growth.rate(folder)
    print(f"fastest convolution: {flops / 1e9:,.0f} GFLOP/s", flush=True)
    axes = {name: asked[name] for name in ("depths", "batches", "widths", "sizes")}
    steps = table(growth.measure(growth.plan(growth.points(**axes)), asked["steps"], folder), flops)
    sweeps = swept_table(growth.sweeps(asked["jobs"], asked["run_steps"], folder), resources.cores())
    for file in write(steps, sweeps, results):
        print(f"wrote {file}", flush=True)
    return conclude(steps, sweeps, flops)


def table(steps: Sequence[Step], flops: float) -> pl.DataFrame:
    """A row per point of each axis, so that the base is in all of them: columns STEPS; null for what was not run."""
    rows = []
    for step in steps:
        point = step.planned.point
        own = {axis: getattr(point, axis) for axis in AXES}
        others = [axis for axis in AXES if own[axis] != getattr(BASE, axis)]
        found = {
            **{"way": WAYS[point.checkpointing], **own, "seconds": step.seconds},
            "seconds_limit": step.planned.operations / flops,
            **{"gib": _gib(step.added), "gib_limit": _gib(step.planned.stored), "gib_process": _gib(step.peak)},
        }
        on = others or (["depth"] if point.checkpointing else list(AXES))
        rows += [{"axis": axis, "value": own[axis], **found} for axis in on]
    order = list(AXES)
    return pl.DataFrame(
        sorted(rows, key=lambda row: (order.index(row["axis"]), WAYS.index(row["way"]), row["value"])), schema=STEPS
    )


def swept_table(swept: Sequence[Swept], cores: int) -> pl.DataFrame:
    """A row per number of jobs: medians, and the limit, the first rate times the cores that so many jobs can use.

    Columns jobs, runs, repeats, seconds with their quartiles low and high, per_hour, limit.
    """
    first = swept[0].per_hour / min(swept[0].jobs, cores)
    rows = [
        {
            **{"jobs": one.jobs, "runs": one.runs, "repeats": len(one.seconds)},
            **{"seconds": taken.middle, "low": taken.low, "high": taken.high},
            **{"per_hour": one.per_hour, "limit": first * min(one.jobs, cores)},
        }
        for one in swept
        for taken in (spread(one.seconds),)
    ]
    return pl.DataFrame(rows)


def conclude(steps: pl.DataFrame, sweeps: pl.DataFrame, flops: float) -> Measured:
    """Figures with their targets, and both tables."""
    depths = steps.filter(axis="depth")
    kept, again = (depths.filter(way=way) for way in WAYS)
    both = kept.join(again, on="value", suffix="_again").drop_nulls(["seconds", "seconds_again"])
    found = [Figure("the fastest convolution, fp32, all cores", flops / 1e9, "GFLOP/s")]
    found += _deepest(again)
    found += _without(kept)
    for row in both.tail(1).iter_rows(named=True):
        name = f"depth {row['value']}, activation checkpointing over none"
        found.append(Figure(f"{name}: time (8/6 in theory)", row["seconds_again"] / row["seconds"], "x"))
        found.append(Figure(f"{name}: memory added by a step", row["gib_again"] / row["gib"], "x"))
    found += [
        Figure(f"{row['jobs']} runs at a time over {sweeps['jobs'][0]}", row["per_hour"] / sweeps["per_hour"][0], "x")
        for row in sweeps.iter_rows(named=True)
        if row["jobs"] != sweeps["jobs"][0]
    ]
    return Measured(found, [_steps_sheet(steps), _sweeps_sheet(sweeps)])


def _deepest(again: pl.DataFrame) -> list[Figure]:
    """ResNet-1202, where it was measured."""
    name = f"ResNet-{DEEPEST} at batch {BASE.batch} with activation checkpointing"
    return [
        figure
        for row in again.filter(pl.col("value") == DEEPEST).drop_nulls("seconds").iter_rows(named=True)
        for figure in (
            Figure(f"{name}: peak memory of its process", row["gib_process"], "GiB", most=MACHINE),
            Figure(f"{name}: a step", row["seconds"], "s"),
        )
    ]


def _without(kept: pl.DataFrame) -> list[Figure]:
    """What the deepest net would add without, by the line through the two deepest that were measured."""
    run, deepest = kept.drop_nulls("gib"), kept.tail(1)
    if len(run) < 2 or deepest["gib"][0] is not None:
        return []
    few, many = run.tail(2).iter_rows(named=True)
    slope = (many["gib"] - few["gib"]) / (many["value"] - few["value"])
    expected = many["gib"] + slope * (deepest["value"][0] - many["value"])
    name = f"depth {deepest['value'][0]} without activation checkpointing would add"
    return [
        Figure(f"{name}, from depths {few['value']} and {many['value']}", expected, "GiB"),
        Figure(f"{name}, by theory", deepest["gib_limit"][0], "GiB"),
    ]


def write(steps: pl.DataFrame, sweeps: pl.DataFrame, folder: Path) -> list[Path]:
    """growth-*.svg, .png and .csv in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = write_figures(figures(steps, sweeps), folder, experiment="speed")
    for name, rows in (("growth-steps", steps), ("growth-sweeps", sweeps)):
        rows.write_csv(folder / f"{name}.csv")
        files.append(folder / f"{name}.csv")
    return files


def _steps_sheet(steps: pl.DataFrame) -> Sheet:
    columns = ("point", "activations", "s/step", "limit, s", "of limit", "GiB added", "limit, GiB")
    rows: list[tuple[str, ...]] = [
        (
            f"{row['axis']} {row['value']}",
            "kept" if row["way"] == WAYS[0] else "checkpointed",
            _number(row["seconds"]),
            _number(row["seconds_limit"]),
            "" if row["seconds"] is None else f"{row['seconds_limit'] / row['seconds']:.0%}",
            _number(row["gib"]),
            _number(row["gib_limit"]),
        )
        for row in steps.iter_rows(named=True)
    ]
    title = "a training step, fp32; else " + BASE.said()
    return Sheet(title, columns, rows)


def _sweeps_sheet(sweeps: pl.DataFrame) -> Sheet:
    rows: list[tuple[str, ...]] = [
        (
            f"{row['jobs']} at a time",
            f"{row['seconds']:.1f}",
            f"{row['low']:.1f} to {row['high']:.1f}",
            f"{row['per_hour']:,.0f}",
            f"{row['limit']:,.0f}",
        )
        for row in sweeps.iter_rows(named=True)
    ]
    title = f"a sweep of {sweeps['runs'][0]} runs on digits, one thread each, the median of {sweeps['repeats'][0]}"
    return Sheet(title, ("runs", "s", "quartiles", "per hour", "limit"), rows)


def _gib(value: int | None) -> float | None:
    return None if value is None else value / GIB


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
