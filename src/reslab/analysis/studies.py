"""What studies of finished runs found, gathered over the runs of the main context; no torch."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.instrument import KEY, looked_at, seeds_said
from reslab.runs.folder import RunFolder
from reslab.runs.studies import read_study, schema

FOUND = {"shortcut": pl.String, "depth": pl.Int64, "seed": pl.Int64}


@dataclass(frozen=True)
class Studied:
    """Rows of one study as `runs.studies` has them, with shortcut, depth and seed; seeds in words."""

    rows: pl.DataFrame
    said: str


def studied(answered: Answer, study: str, *, deepest: bool) -> Studied:
    """Of every run that has it, or of each shortcut's deepest nets that have; an unreadable file counts as absent."""
    found = [pl.DataFrame(schema=FOUND | schema(study))]
    for row in looked_at(answered).iter_rows(named=True):
        try:
            read = read_study(RunFolder(Path(str(row["folder"]))), study)
        except ValueError:
            continue
        key = [pl.lit(row[name], dtype=FOUND[name]).alias(name) for name in KEY]
        found.append(read.select(*key, *schema(study)))
    rows = pl.concat(found)
    if deepest:
        rows = rows.filter(pl.col("depth") == pl.col("depth").max().over("shortcut"))
    return Studied(rows, seeds_said(rows))
