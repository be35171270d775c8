"""What the probes measured of a run: one Parquet file in its folder, a row per step, probe, layer and statistic."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslab.runs.folder import RunFolder
from reslab.runs.parquet import read_table, write_table

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("run", "step", "probe", "layer", "statistic", "value", "error")


class Readings:
    """Collects rows of one run and writes the whole file each time, so that it is never torn."""

    def __init__(self, folder: RunFolder, run: str, *, until: int) -> None:
        """`run` names it in every row; what an earlier attempt measured after step `until` is measured again."""
        self.file, self._run, self._written = readings_file(folder), run, 0
        try:
            kept = read_readings(folder).rows() if self.file.exists() else []
        except ValueError as problem:
            print(f"{problem}; its readings up to step {until} are lost", flush=True)
            kept = []
        self.rows: list[tuple[Any, ...]] = [row for row in kept if row[1] <= until]

    def add(self, step: int, probe: str, found: Iterable[Sequence[Any]]) -> None:
        """Rows of (layer, statistic, value, error); they are on disk after the next `write`."""
        self.rows += [(self._run, step, probe, *row) for row in found]

    def write(self) -> None:
        """The file, whole or not at all, if there is anything new; by pyarrow, which a forked run loads in 30 ms."""
        if len(self.rows) == self._written:
            return
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {"step": pa.int64(), "value": pa.float64(), "error": pa.float64()}
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
        pairs = zip(zip(*self.rows, strict=True), schema.types, strict=True)
        table = pa.table([pa.array(column, kind) for column, kind in pairs], schema=schema)
        write_table(self.file, lambda path: parquet.write_table(table, path))
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
    return read_table(readings_file(folder), {name: kinds.get(name, pl.String) for name in COLUMNS})
