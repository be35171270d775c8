"""The instrument's own certificate: what `reslab verify` has measured in this outputs folder."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from reslab.analysis.answer import Answer
from reslab.report.drawing import Drawing
from reslab.runs.folder import read_json

SCHEMA = {"topic": pl.String, "law": pl.String, "source": pl.String, "expected": pl.Float64, "measured": pl.Float64}
SCHEMA |= {"tolerance": pl.String, "passed": pl.Boolean}


def verified(answered: Answer) -> Drawing | None:
    """Every law beside what was measured, those that do not hold first; None where nothing has been verified."""
    if answered.runs.is_empty():
        return None
    record = read_json(Path(answered.runs["folder"][0]).parents[2] / "verify.json")  # <outputs>/runs/<cell>/seed=<n>
    table = laws(record or {})
    if record is None or table.is_empty():
        return None
    text = {name: pl.col(name).map_elements(number, pl.String, skip_nulls=False) for name in ("expected", "measured")}
    shown = table.sort("passed", maintain_order=True).select(
        *("topic", "law", "source"),
        **text,
        tolerance="tolerance",
        holds=pl.when("passed").then(pl.lit("yes")).otherwise(pl.lit("NO")),
    )
    return Drawing(None, _caption(record, table), table, shown)


def laws(record: Mapping[str, Any]) -> pl.DataFrame:
    """One row a law; what is not of this shape is left out."""
    found = record.get("facts")
    rows = [_row(fact) for fact in found if isinstance(fact, dict)] if isinstance(found, list) else []
    return pl.DataFrame([row for row in rows if row["law"]], schema=SCHEMA)


def number(value: int | float | None) -> str:
    """A count with all its digits, anything else with five; a number that is not finite as such."""
    if value is None or not math.isfinite(value):
        return "not a number"
    whole = value == int(value) and abs(value) < 1e15
    return f"{int(value):,}" if whole else f"{value:.5g}"


def _row(fact: Mapping[str, Any]) -> dict[str, Any]:
    words = {name: str(fact.get(name) or "") for name in ("topic", "law", "source", "tolerance")}
    numbers = {name: _finite(fact.get(name)) for name in ("expected", "measured")}
    return words | numbers | {"passed": fact.get("passed") is True}


def _finite(value: object) -> float | None:
    if not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(value)


def _caption(record: Mapping[str, Any], table: pl.DataFrame) -> str:
    hold = int(table["passed"].sum())
    commit = str(record.get("commit") or "no commit")
    head, plus, changed = commit.partition("+")
    hardware = record.get("hardware")
    where = hardware if isinstance(hardware, dict) else {}
    machine = str(where.get("processor") or where.get("machine") or "an unnamed machine")
    return (
        f"{hold} of {len(table)} laws hold: written by reslab verify on {record.get('time') or 'an unknown day'} at "
        f"{head[:12]}{plus}{changed}, on {machine}, in {number(_finite(record.get('seconds')))} s. Expected: closed "
        "forms, theory of wide nets, published counts, or other code; measured: by the same probes that measure runs. "
        "It says that the instrument was right then, on that code and machine."
    )
