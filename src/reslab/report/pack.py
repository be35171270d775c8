"""Charts as JSON that cannot leave its script element: data apart from the specs, by column, each set once."""

import json
from collections.abc import Mapping
from typing import Any

import altair as alt
import polars as pl
from polars import selectors

Columns = list[list[Any]]


def script_json(value: object) -> str:
    """Canonical JSON without the signs that could end a script element or open a comment."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def columns(table: pl.DataFrame) -> Columns:
    """A table by column: [name, values], or [name, codes, levels] where strings repeat; what is not finite is null."""
    floats = selectors.float()
    clean = table.with_columns(pl.when(floats.is_finite()).then(floats))
    return [_column(name, clean[name].to_list()) for name in clean.columns]


def take_apart(chart: Any) -> tuple[dict[str, Any], dict[str, Columns]]:
    """An Altair chart as a spec that names its data sets, and these."""
    spec = _spec(chart)
    for key in ("$schema", "config"):
        spec.pop(key, None)
    sets = spec.pop("datasets", {})
    return spec, {name: _by_column(rows) for name, rows in sets.items()}


def whole(chart: Any, *, width: int) -> dict[str, Any]:
    """The spec with its data, every width a number: for drawing without a page."""
    spec = _spec(chart)
    beside = len(spec.get("hconcat", [1]))
    found = _with_width(spec, (width - 25 * (beside - 1)) // beside)
    if "facet" in found:
        columns = found.get("columns", 1)
        found["spec"]["width"] = (width - 25 * (columns - 1)) // columns
    found.pop("config", None)
    return found


def _spec(chart: Any) -> dict[str, Any]:
    with alt.data_transformers.disable_max_rows():
        spec: dict[str, Any] = chart.to_dict()
    return spec


def _by_column(rows: list[Mapping[str, Any]]) -> Columns:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [_column(name, [row.get(name) for row in rows]) for name in names]


def _column(name: str, values: list[Any]) -> list[Any]:
    levels = {value for value in values if isinstance(value, str)}
    if levels and len(levels) < len(values) / 4 and all(value is None or isinstance(value, str) for value in values):
        ordered = sorted(levels)
        code = {value: place for place, value in enumerate(ordered)}
        return [name, [None if value is None else code[value] for value in values], ordered]
    return [name, values]


def _with_width(value: Any, width: int) -> Any:
    if isinstance(value, dict):
        return {
            key: width if key == "width" and inner == "container" else _with_width(inner, width)
            for key, inner in value.items()
        }
    return [_with_width(inner, width) for inner in value] if isinstance(value, list) else value
