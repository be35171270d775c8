"""What the probes measured of a run: one Parquet file in its folder, a row per step, probe, layer and statistic."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslab.runs.folder import RunFolder

if TYPE_CHECKING:
    import polars as pl

LARGEST = 2**28  # bytes; a run of 110 layers and 40 scheduled steps makes one of half a megabyte
COLUMNS = ("run", "step", "probe", "layer", "statistic", "value", "error")


class Readings:
    """Collects rows of one run and writes the whole file each time, so that it is never torn."""

    def __init__(self, folder: RunFolder, run: str, *, until: int) -> None:
        """`run` names it in every row; what an earlier attempt measured after step `until` is measured again."""
        self.file, self._run, self._written = readings_file(folder), run, 0
        try:
            kept = read_readings(folder).rows() if self.file.exists() else []
        except ValueError as problem:
            print(f"{problem}; the steps before {until} are lost", flush=True)
            kept = []
        self.rows: list[tuple[Any, ...]] = [row for row in kept if row[1] <= until]

    def add(self, step: int, probe: str, found: Iterable[Sequence[Any]]) -> None:
        """Rows of (layer, statistic, value, error); they are on disk after the next `write`."""
        self.rows += [(self._run, step, probe, *row) for row in found]

    def write(self) -> None:
        """The file, whole or not at all, if there is anything new."""
        if len(self.rows) == self._written:
            return
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {"step": pa.int64(), "value": pa.float64(), "error": pa.float64()}
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
        columns = [
            pa.array(column, kind) for column, kind in zip(zip(*self.rows, strict=True), schema.types, strict=True)
        ]
        self.file.parent.mkdir(exist_ok=True)
        beside = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        try:
            parquet.write_table(pa.table(columns, schema=schema), beside)
            beside.replace(self.file)
        finally:
            beside.unlink(missing_ok=True)
        self._written = len(self.rows)


def readings_file(folder: RunFolder) -> Path:
    """Where they lie."""
    return folder.path / "probes" / "readings.parquet"


def read_readings(folder: RunFolder) -> "pl.DataFrame":
    """The rows of a run, columns COLUMNS: `error` is a standard error, null where nothing was sampled.

    Empty where no probe has measured. ValueError for a file that is not one of ours.
    """
    import polars as pl

    kinds = {"step": pl.Int64, "value": pl.Float64, "error": pl.Float64}
    schema = {name: kinds.get(name, pl.String) for name in COLUMNS}
    file = readings_file(folder)
    if not file.exists():
        return pl.DataFrame(schema=schema)
    try:
        if file.is_symlink() or not 0 < file.stat().st_size <= LARGEST:
            raise ValueError(f"it is a link, or not of 1 to {LARGEST:,} bytes")
        if (found := pl.read_parquet_schema(file)) != schema:
            raise ValueError(f"its columns are {list(found)}")
        return pl.read_parquet(file, columns=list(COLUMNS))
    except Exception as error:  # a torn or hostile file can raise anything
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{file} cannot be read ({type(error).__name__}: {reason[:120]})") from error
