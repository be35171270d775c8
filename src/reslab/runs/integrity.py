"""Whether a run folder still is what was planned: edited, copied or torn records are named, not counted in silence."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from reslab.runs.folder import SCHEMA, RunFolder, read_json
from reslab.runs.identity import IDENTITY, cell_hash

SECTIONS = tuple(dict.fromkeys(key.split(".")[0] for key in IDENTITY))  # top-level keys that a cell depends on
PARTS = ("train", "train_fresh_norm", "validation", "test")
TORN = "result.json is torn; the run counts as not ended"
FOREIGN = "has schema"  # in the sentence about a record of another schema
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is five times as fast


def problems(folder: RunFolder, entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with the records of a run; `entry` is its line in the plan (`cell` and `seed` are looked at).

    Sentences, none if all is well or nothing has begun. A run with any problem belongs in no number.
    """
    foreign = _schemas(folder)
    if foreign:
        return foreign
    result = read_json(folder.result)
    torn = result is None and folder.result.exists()
    found = [TORN] if torn else []
    return found + _config_problems(folder.config, entry, begun=result is not None) + _result_problems(result, entry)


def _schemas(folder: RunFolder) -> list[str]:
    """Records of another schema may mean anything: nothing else is looked at."""
    records = {path.name: read_json(path) for path in (folder.result, folder.status)}
    records[folder.metrics.name] = _first_row(folder.metrics)
    return [
        f"{name} {FOREIGN} {record['schema']}, this version reads {SCHEMA}; read it with the version that wrote it"
        for name, record in records.items()
        if record is not None and record.get("schema", SCHEMA) != SCHEMA
    ]


def _first_row(path: Path) -> dict[str, Any] | None:
    try:
        with path.open(errors="replace") as file:
            row = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None


def _config_problems(path: Path, entry: Mapping[str, Any], *, begun: bool) -> list[str]:
    try:
        text = path.read_text()
    except OSError:
        return ["config.yaml is missing: nothing tells what was trained"] if begun else []
    except UnicodeDecodeError:
        return ["config.yaml is not text"]
    sections = split(text)
    cell = _cell_of("".join(sections.get(name, "") for name in SECTIONS))
    if cell is None:
        return ["config.yaml cannot be read: it was edited"]
    found = []
    if cell != entry["cell"]:
        found.append(
            f"config.yaml gives cell {cell[:8]} where {entry['cell'][:8]} was planned: it was edited, copied from "
            "another run, or written by a version that forms cells differently"
        )
    seed = sections.get("seed", "").partition(":")[2].strip()
    if seed != str(entry["seed"]):
        found.append(f"config.yaml has seed {seed or '?'} where {entry['seed']} was planned")
    return found


def split(text: str) -> dict[str, str]:
    """The text of each top-level key of a frozen config."""
    blocks = re.split(r"^(?=[^\s#-])", text, flags=re.MULTILINE)
    return {block.partition(":")[0].strip("'\""): block for block in blocks if block.strip()}


@lru_cache(maxsize=1024)
def _cell_of(text: str) -> str | None:
    """Hash of the sections that make a cell; remembered, since the seeds of a cell share them to the letter."""
    try:
        return cell_hash(yaml.load(text, Loader=LOADER))
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _result_problems(result: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> list[str]:
    if result is None or result.get("outcome") == "failed":  # a failure's record holds a reason and nothing else
        return []
    found = []
    if result.get("cell") != entry["cell"]:
        found.append(f"result.json is of cell {str(result.get('cell'))[:8]} where {entry['cell'][:8]} was planned")
    if result.get("seed") != entry["seed"]:
        found.append(f"result.json is of seed {result.get('seed')} where {entry['seed']} was planned")
    return found + [f"result.json: {part}.error is not errors / n" for part in PARTS if not _adds_up(result.get(part))]


def _adds_up(score: Any) -> bool:
    if score is None:
        return True
    try:
        return score["n"] > 0 and abs(score["error"] - score["errors"] / score["n"]) < 1e-9
    except (KeyError, TypeError):
        return False
