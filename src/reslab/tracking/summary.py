"""One W&B run per experiment that holds what no single run can: the aggregate tables, the verdicts, the figures."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from reslab.tracking import mirror
from reslab.tracking.remote import Remote

Draw = Callable[[Path], object]
"""Draws every figure into this folder, as KEY.png."""
PREFIXES = ("verdict", "n", "gap", "lower", "upper", "onset", "rescue", "rescue_verdict")
BOUNDS = ("gap_points", "lower_points", "upper_points")


def summary_id(experiment: str) -> str:
    """The id of an experiment's summary run; long names are shortened by their hash."""
    return (
        f"summary-{experiment}" if len(experiment) <= 56 else f"summary-{experiment[:39]}-{mirror.digest(experiment)}"
    )


def values(gaps: pl.DataFrame, onsets: pl.DataFrame, rescues: pl.DataFrame) -> dict[str, Any]:
    """The main context's verdicts as flat summary values: verdict/none/d56, gap/none/d56, ..."""
    flat: dict[str, Any] = {}
    for row in _main(gaps):
        place = f"{row['shortcut']}/d{row['depth']}"
        flat |= {f"verdict/{place}": row["verdict"], f"n/{place}": row["n"]}
        flat |= {f"{name.removesuffix('_points')}/{place}": row[name] for name in BOUNDS}
    for row in _main(onsets):
        flat[f"onset/{row['shortcut']}"] = row["sentence"]
    for row in _main(rescues):
        place = f"{row['shortcut']}/d{row['depth']}"
        flat |= {f"rescue/{place}": row["rescue_points"], f"rescue_verdict/{place}": row["verdict"]}
    return flat


def push_summary(
    remote: Remote,
    *,
    experiment: str,
    facts: Mapping[str, Any],
    tables: Mapping[str, pl.DataFrame],
    figures: Sequence[str],
    draw: Draw,
) -> Literal["there", "made", "updated"]:
    """Make W&B hold these tables, values (`facts`) and figures (keys), once; what had to be done.

    Figures are drawn only if something is to be sent: they follow from the tables.
    """
    name, kept = summary_id(experiment), {key: _without_paths(table) for key, table in tables.items()}
    record = mirror.digest(facts, {key: table.to_dicts() for key, table in kept.items()}, list(figures))
    there = remote.runs([name]).get(name)
    known = there.summary_metrics if there is not None else {}
    if there is not None and there.state == "finished" and known.get(mirror.RECORD) == record:
        return "there"
    options = {
        "id": name,
        "name": f"summary of {experiment}",
        "group": "summary",
        "job_type": "summary",
        "tags": [mirror.tag(experiment), "summary"],
        "config": {"experiment": experiment, "cell": "summary"},
    }
    stale = {key: None for key in known if "/" in key and key.split("/")[0] in PREFIXES and key not in facts}
    try:
        with remote.opened(options, code=0) as run, tempfile.TemporaryDirectory() as folder:
            run.log({f"tables/{key}": _table(table) for key, table in kept.items()})
            if figures:
                draw(Path(folder))
                run.log({f"figures/{key}": _image(Path(folder) / f"{key}.png") for key in figures})
            run.summary.update({**stale, **facts, mirror.RECORD: record})
    except Exception as error:  # W&B's own kinds of error change with its versions
        raise ValueError(f"the runs are complete at W&B, their summary is not; {remote.say(error)}") from error
    return "made" if there is None else "updated"


def _main(table: pl.DataFrame) -> list[dict[str, Any]]:
    return table.filter(pl.col("main")).to_dicts() if len(table) else []


def _without_paths(table: pl.DataFrame) -> pl.DataFrame:
    """Where the folders lie concerns nobody else."""
    return table.drop("folder", strict=False)


def _table(table: pl.DataFrame) -> Any:
    import wandb

    return wandb.Table(columns=table.columns, data=[list(row) for row in table.rows()])


def _image(file: Path) -> Any:
    import wandb

    return wandb.Image(str(file))
