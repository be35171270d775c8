"""plan.jsonl: which runs an experiment asked for; a line is written before the run starts."""

import fcntl
import json
from pathlib import Path
from typing import Any

from reslab.runs.folder import SCHEMA


def plan_file(outputs: Path, experiment: str) -> Path:
    """Where an experiment's plan lies."""
    return outputs / "experiments" / experiment / "plan.jsonl"


def read_plan(path: Path) -> list[dict[str, Any]]:
    """Lines in order, one per (cell, seed); torn lines are passed over. ValueError for a plan of another schema."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    if not path.exists():
        return []
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
            found[entry["cell"], entry["seed"]] = entry
        except (ValueError, KeyError, TypeError):
            continue
        schema = entry.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise ValueError(f"{path} has schema {schema}, this version reads {SCHEMA}; use another outputs=FOLDER")
    return list(found.values())


def add_to_plan(path: Path, entries: list[dict[str, Any]]) -> int:
    """Append those that are not there yet, under a lock; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = {(entry["cell"], entry["seed"]) for entry in read_plan(path)}
        unique = {(entry["cell"], entry["seed"]): entry for entry in entries}
        fresh = [entry for key, entry in unique.items() if key not in known]
        file.seek(0)
        if fresh and not file.read().endswith("\n") and file.tell():
            file.write("\n")
        file.writelines(json.dumps({"schema": SCHEMA, **entry}) + "\n" for entry in fresh)
    return len(fresh)


def experiments(outputs: Path) -> list[str]:
    """Names of all experiments that have a plan."""
    return sorted(path.parent.name for path in (outputs / "experiments").glob("*/plan.jsonl"))
