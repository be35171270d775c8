"""What a lesion study found in a run: one Parquet file in its folder, a row per lesion and kind of statistics."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reslab.runs.folder import RunFolder

if TYPE_CHECKING:
    import polars as pl

LARGEST = 2**26  # bytes; a study of a thousand lesions has a hundred thousand
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
    file = lesions_file(folder)
    file.parent.mkdir(exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        table.write_parquet(beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return file


def read_lesions(folder: RunFolder) -> "pl.DataFrame":
    """The rows of a run, empty where it was not studied; ValueError for a file that is not one of ours."""
    import polars as pl

    file = lesions_file(folder)
    if not file.exists():
        return pl.DataFrame(schema=schema())
    try:
        if file.is_symlink() or not 0 < file.stat().st_size <= LARGEST:
            raise ValueError(f"it is a link, or not of 1 to {LARGEST:,} bytes")
        if dict(pl.read_parquet_schema(file)) != schema():
            raise ValueError("its columns are others")
        return pl.read_parquet(file, columns=list(COLUMNS))
    except Exception as error:  # a torn or hostile file can raise anything
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{file} cannot be read ({type(error).__name__}: {reason[:120]})") from error
