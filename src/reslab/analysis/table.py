"""Runs on disk as tables: one row per run, per cell. Statistics and verdicts are not made here."""

from pathlib import Path
from typing import Any

import polars as pl

from reslab.runs.folder import RunFolder
from reslab.runs.integrity import of_records
from reslab.runs.plan import NoRunsError, experiments, plan_file, read_plan
from reslab.runs.status import Records

AXES = (
    *("block", "order", "shortcut", "norm", "net", "data", "recipe", "intervention"),
    *("depth", "width", "lr", "steps", "batch", "precision"),
)
FAILURES = ("at_chance", "diverged", "failed")  # they count as chance in every comparison
COUNTS = ("params", "norm_params", "macs")


def runs(outputs: Path, experiment: str | None = None) -> pl.DataFrame:
    """One row per planned run: choices, state, outcome, clean errors (share, 0 to 1), cross-entropy (nats), cost.

    `counted_error` is the clean training error that comparisons use: a diverged, failed or at-chance run counts as
    chance, (classes - 1) / classes, and has `failure`. ValueError for an experiment without a plan.
    """
    known = experiments(outputs)
    if experiment is not None and experiment not in known:
        raise NoRunsError(outputs, experiment)
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    for name in known if experiment is None else [experiment]:
        for entry in read_plan(plan_file(outputs, name)):
            entries.setdefault((entry["cell"], entry["seed"]), entry)
    if experiment is not None and not entries:
        raise ValueError(
            f"experiment={experiment} has a plan without runs ({plan_file(outputs, experiment)}); "
            f"to plan them again: reslab train experiment={experiment}"
        )
    return pl.DataFrame([_row(outputs, entry) for entry in entries.values()], infer_schema_length=None)


def _row(outputs: Path, entry: dict[str, Any]) -> dict[str, Any]:
    folder = RunFolder(outputs / entry["folder"])
    records = Records.of(folder)
    found, wrong = records.state, of_records(records, entry)
    if found in ("ended", "failed") and wrong:
        found = "edited"  # what was changed by hand, or copied from elsewhere, is in no number
    result = (records.result if found in ("ended", "failed") else None) or {}
    outcome = result.get("outcome")
    chance = (entry["classes"] - 1) / entry["classes"]
    row: dict[str, Any] = {name: entry[name] for name in ("cell", "label", "seed", *AXES, *COUNTS)}
    row |= {"params": result.get("params", entry["params"]), "state": found, "outcome": outcome}
    row["command"] = entry.get("command")
    row["problem"] = wrong[0] if wrong else None
    for part in ("train", "train_fresh_norm", "validation", "test"):
        score = result.get(part, {})
        missing = chance if outcome == "diverged" else None
        row[f"{part}_error"] = score.get("error", missing)
        row[f"{part}_cross_entropy"] = score.get("cross_entropy")
    failure = outcome in FAILURES
    row |= {"failure": failure, "chance": chance, "counted_error": chance if failure else row["train_error"]}
    row["images"] = result.get("train", {}).get("n")
    hardware, times = result.get("hardware", {}), result.get("times", {})
    row |= {name: hardware.get(name) for name in ("device", "capability", "threads", "ranks", "stepping")}
    row |= {"commit": result.get("commit"), "torch": result.get("versions", {}).get("torch")}
    # a run resumed after its last step has no speed of its own: 0 would pull the mean of its cell down
    row |= {"images_per_second": result.get("images_per_second") or None, "seconds": sum(times.values()) or None}
    return row | {"weights": result.get("weights"), "folder": str(folder.path)}


def varying(table: pl.DataFrame) -> list[str]:
    """The axes that take more than one value; shortcut and depth always."""
    return [axis for axis in AXES if axis in ("shortcut", "depth") or table[axis].n_unique() > 1]


def cells(table: pl.DataFrame) -> pl.DataFrame:
    """One row per cell: n, mean and sample standard deviation of errors and cross-entropy, outcomes in words.

    `train_error_mean` is that of `counted_error`.
    """
    names = ("train_error", "train_cross_entropy", "validation_error", "test_error")
    scores = [
        expression
        for name in names
        for column in [pl.col("counted_error" if name == "train_error" else name)]
        for expression in (column.mean().alias(f"{name}_mean"), column.std().alias(f"{name}_sd"))
    ]
    words = pl.coalesce("outcome", "state").value_counts(sort=True).alias("_counts")
    return (
        table.group_by("cell", *AXES, *COUNTS, maintain_order=True)
        .agg(
            *(pl.col("counted_error").count().alias("n"), pl.col("failure").sum().alias("failures")),
            *(pl.col(name).mean() for name in ("images_per_second", "seconds")),
            *scores,
            words,
        )
        .with_columns(outcomes=pl.col("_counts").map_elements(_in_words, return_dtype=pl.String))
        .drop("_counts")
        .sort([axis for axis in AXES if axis not in ("shortcut", "depth")] + ["shortcut", "depth"])
    )


def ambiguous(cell_table: pl.DataFrame) -> pl.Series:
    """Which cells share all axes with another cell: they differ in a setting that no column shows."""
    return cell_table.select(pl.struct(AXES).is_duplicated()).to_series()


def differences(table: pl.DataFrame) -> list[str]:
    """What differs between runs beside their settings: sentences for the reader, none if all is equal."""
    said = []
    for name in ("device", "capability", "threads", "ranks", "stepping", "torch", "commit"):
        values = table[name].drop_nulls().unique().sort().to_list()
        if len(values) > 1:
            shown = ", ".join(map(str, values))
            said.append(f"runs differ in {name} ({shown}): equal seeds may then differ in their last bits")
    return said


def _in_words(counts: Any) -> str:
    return ", ".join(f"{item['count']} {item['']}" if "" in item else _pair(item) for item in counts)


def _pair(item: dict[str, Any]) -> str:
    name = next(value for key, value in item.items() if key != "count")
    return f"{item['count']} {name}"
