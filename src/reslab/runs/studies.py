"""What studies of a finished run found: one Parquet file per study in its folder, with the columns written here."""

from pathlib import Path
from typing import TYPE_CHECKING

from reslab.runs.folder import RunFolder
from reslab.runs.parquet import read_table, write_table

if TYPE_CHECKING:
    import polars as pl

SCHEMAS: dict[str, dict[str, str]] = {
    "lesion": {  # intact, unit, number or order; statistics raw or retaken; error is a share of images
        **{"lesion": "String", "statistics": "String", "unit": "String", "place": "Int64", "number": "Int64"},
        **{"draw": "Int64", "swaps": "Int64", "tau": "Float64", "error": "Float64", "images": "Int64"},
    },
    "linear": {  # place 0 is the stem, null the net's own classifier; error is a share of test images
        **{"layer": "String", "place": "Int64", "features": "Int64", "strength": "Float64", "error": "Float64"},
        **{"fitted": "Int64", "images": "Int64"},
    },
    "slices": {  # statistics raw or retaken; subset 1 of the images, or 2; at from -1 to 1; loss and level in nats
        **{"direction": "Int64", "statistics": "String", "subset": "Int64", "at": "Float64", "loss": "Float64"},
        **{"level": "Float64", "images": "Int64"},
    },
    "curvature": {  # kind raw or filter; rank 1 is the largest; residual in the unit of eigenvalue; loss in nats
        **{"kind": "String", "rank": "Int64", "eigenvalue": "Float64", "residual": "Float64", "products": "Int64"},
        **{"threshold": "Float64", "loss": "Float64", "images": "Int64", "weights": "Int64"},
    },
}
"""The columns of each study, with the names of their types."""


def study_file(folder: RunFolder, name: str) -> Path:
    """Where its rows lie."""
    return folder.path / "probes" / f"{name}.parquet"


def schema(name: str) -> "dict[str, type[pl.DataType]]":
    """Columns and types of one of SCHEMAS."""
    import polars as pl

    return {column: getattr(pl, kind) for column, kind in SCHEMAS[name].items()}


def write_study(folder: RunFolder, name: str, table: "pl.DataFrame") -> Path:
    """The file, whole or not at all."""
    assert dict(table.schema) == schema(name), f"columns of {name}"
    return write_table(study_file(folder, name), table.write_parquet)


def read_study(folder: RunFolder, name: str) -> "pl.DataFrame":
    """The rows of a run, empty where it was not studied; ValueError for a file that is not one of ours."""
    return read_table(study_file(folder, name), schema(name))
