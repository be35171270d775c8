"""Tables in a run folder: written whole or not at all, read only if they are what they should be."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

LARGEST = 2**28  # bytes; probes=full at 110 layers and 40 scheduled steps makes half a megabyte


def write_table(file: Path, write: Callable[[Path], object]) -> Path:
    """Call `write` with a file beside, then put it in place."""
    file.parent.mkdir(exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return file


def read_table(file: Path, schema: "Mapping[str, type[pl.DataType]]") -> "pl.DataFrame":
    """Its rows; none where there is no file. ValueError for a link, a torn file, or one of other columns."""
    import polars as pl

    if not file.exists():
        return pl.DataFrame(schema=dict(schema))
    try:
        if file.is_symlink() or not 0 < file.stat().st_size <= LARGEST:
            raise ValueError(f"it is a link, or not of 1 to {LARGEST:,} bytes")
        if dict(found := pl.read_parquet_schema(file)) != dict(schema):
            raise ValueError(f"its columns are {list(found)}")
        return pl.read_parquet(file, columns=list(schema))
    except Exception as error:  # a torn or hostile file can raise anything
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{file} cannot be read ({type(error).__name__}: {reason[:120]})") from error
