"""What a lesion study found in a run: one Parquet file in its folder, a row per lesion and kind of statistics."""

from pathlib import Path
from typing import TYPE_CHECKING

from reslab.runs.folder import RunFolder
from reslab.runs.parquet import read_table, write_table

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("lesion", "statistics", "unit", "place", "number", "draw", "swaps", "tau", "error", "images")
WORDS = ("lesion", "statistics", "unit")
FLOATS = ("tau", "error")


def lesions_file(folder: RunFolder) -> Path:
    """Where they lie."""
    return folder.path / "probes" / "lesion.parquet"


def schema() -> "dict[str, type[pl.DataType]]":
    """Columns: `lesion` intact, unit, number or order; `statistics` raw or retaken; `error` a share of `images`."""
    import polars as pl

    return {name: pl.String if name in WORDS else pl.Float64 if name in FLOATS else pl.Int64 for name in COLUMNS}


def write_lesions(folder: RunFolder, table: "pl.DataFrame") -> Path:
    """The file, whole or not at all."""
    return write_table(lesions_file(folder), table.write_parquet)


def read_lesions(folder: RunFolder) -> "pl.DataFrame":
    """The rows of a run, empty where it was not studied; ValueError for a file that is not one of ours."""
    return read_table(lesions_file(folder), schema())
