"""What the probes recorded in the runs of the main context, gathered for the figures; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.runs.folder import RunFolder
from reslab.runs.readings import read_readings, readings_file

KEY = ("shortcut", "depth", "seed")
ROWS = {
    **{"shortcut": pl.String, "depth": pl.Int64, "seed": pl.Int64, "step": pl.Int64, "layer": pl.String},
    **{"place": pl.Int64, "statistic": pl.String, "value": pl.Float64},
}


@dataclass(frozen=True)
class Recorded:
    """Rows (columns ROWS; `place` counts layers from the input, from 1), and what a caption must say of them."""

    rows: pl.DataFrame
    said: str
    """Which seeds: "n = 3 seeds: 0, 1, 2", or per net where they differ."""
    missing: str
    """Which runs of the main context have no readings, and what would measure them; empty where all have."""


def values(
    answered: Answer, *, probe: str, statistic: str | Sequence[str], deepest: bool, bn: str = "train"
) -> Recorded:
    """One probe's statistics in one mode of BatchNorm, of the deepest nets of each shortcut, or of all.

    Layers keep the order in which the probe went through the net. A file that cannot be read counts as absent.
    """
    names = [statistic] if isinstance(statistic, str) else list(statistic)
    known = looked_at(answered)
    have = [row for row in known.iter_rows(named=True) if readings_file(_folder(row)).exists()]
    if deepest:
        most: dict[str, int] = {}
        for row in have:
            most[row["shortcut"]] = max(row["depth"], most.get(row["shortcut"], 0))
        chosen = [row for row in have if row["depth"] == most[row["shortcut"]]]
    else:
        chosen = have
    found = [_of_run(row, f"{probe}/{bn}", names) for row in chosen]
    rows = pl.concat([pl.DataFrame(schema=ROWS), *found])
    return Recorded(rows, seeds_said(rows), _missing(answered, len(known) - len(have), len(known)))


def looked_at(answered: Answer) -> pl.DataFrame:
    """Runs of the main context that may be looked at; those that only chose a learning rate are not."""
    left_out = pl.col("state").is_in(["edited", "other schema", "new"])
    left_out |= pl.col("seed").is_in(answered.study.tuning_seeds)
    return answered.runs.filter(pl.col("main") & ~left_out)


def _folder(row: dict[str, object]) -> RunFolder:
    return RunFolder(Path(str(row["folder"])))


def _of_run(row: dict[str, object], probe: str, names: Sequence[str]) -> pl.DataFrame:
    try:
        read = read_readings(_folder(row))
    except ValueError:
        return pl.DataFrame(schema=ROWS)
    kept = read.filter(pl.col("probe") == probe, pl.col("statistic").is_in(list(names)))
    layers = kept["layer"].unique(maintain_order=True).to_list()
    places = {layer: place for place, layer in enumerate(layers, 1)}
    place = pl.col("layer").replace_strict(places, default=0, return_dtype=pl.Int64)
    key = [pl.lit(row[name], dtype=ROWS[name]).alias(name) for name in KEY]
    return kept.select(*key, "step", "layer", place.alias("place"), "statistic", "value")


def over_seeds(rows: pl.DataFrame) -> pl.DataFrame:
    """Geometric means over seeds, with `n`; a value that is not positive and finite is left out."""
    kept = rows.filter(pl.col("value").is_finite() & (pl.col("value") > 0))
    by = [name for name in rows.columns if name not in ("seed", "value")]
    return kept.group_by(by, maintain_order=True).agg(value=pl.col("value").log().mean().exp(), n=pl.len())


def seeds_said(rows: pl.DataFrame) -> str:
    """The seeds of a table with shortcut, depth and seed, in words; per net where they differ."""
    seeds = {
        (str(shortcut), int(depth)): ", ".join(map(str, sorted(set(group["seed"]))))
        for (shortcut, depth), group in rows.group_by("shortcut", "depth", maintain_order=True)
    }
    if len(set(seeds.values())) == 1:
        (listed,) = set(seeds.values())
        return _counted(listed)
    return "; ".join(f"{net(name)} {depth}: {_counted(listed)}" for (name, depth), listed in seeds.items())


def _counted(listed: str) -> str:
    n = listed.count(",") + 1
    return f"n = {n}, seed{'s' * (n != 1)} {listed}"


def _missing(answered: Answer, without: int, known: int) -> str:
    if without == 0:
        return ""
    name = answered.experiment
    which = f"experiment={name} " if name != "adhoc" else ""
    return (
        f"{without} of {known} runs of this setting have no readings: they were trained with probes=off, and a run "
        f"that has ended is not measured again (reslab train {which}probes=full outputs=FOLDER trains them with probes "
        "in another folder)."
    )
