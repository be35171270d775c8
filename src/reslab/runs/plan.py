"""plan.jsonl: which runs an experiment asked for; a line is written before the run starts."""

import difflib
import fcntl
import json
import re
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from reslab.runs.fields import NAME, Rule, broken, number, optional, whole
from reslab.runs.folder import SCHEMA, append
from reslab.runs.reading import parse, read_lines

NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What an experiment may be called."""
_FOLDER = re.compile(r"runs/(?!\.\.?/)[A-Za-z0-9._-]+/seed=[0-9]+")


@lru_cache(maxsize=64)
def _is_command(value: str) -> bool:
    """One command of ours and nothing more: people copy it from a report into their shell.

    Remembered, since the thousands of runs of a sweep have one command, and shlex reads it letter by letter.
    """
    try:
        words = shlex.split(value)
    except ValueError:
        return False
    return words[:1] == ["reslab"] and shlex.join(words) == value


FIELDS = {
    **dict.fromkeys(("cell", "label"), NAME),
    "folder": Rule("runs/CELL/seed=N", lambda value: isinstance(value, str) and bool(_FOLDER.fullmatch(value))),
    **dict.fromkeys(("block", "order", "shortcut", "norm", "net", "data", "recipe", "intervention", "precision"), NAME),
    "seed": whole(),
    **dict.fromkeys(("depth", "width", "steps", "batch"), whole(1)),
    "classes": whole(2),
    "lr": Rule("a finite number above 0", lambda value: (number(value) or 0) > 0),
    **dict.fromkeys(("params", "norm_params", "macs"), optional(whole())),
}
"""What every line has."""
OPTIONAL = {
    "command": Rule("a command of reslab", lambda value: isinstance(value, str) and _is_command(value)),
    "overrides": Rule(
        "a list of texts", lambda value: isinstance(value, list) and all(isinstance(word, str) for word in value)
    ),
}


class NoRunsError(ValueError):
    """An experiment that has no plan; the sentence names those that have one."""

    def __init__(self, outputs: Path, experiment: str) -> None:
        """`experiment` is what was asked for."""
        self.experiment, known = experiment, experiments(outputs)
        near = difflib.get_close_matches(experiment, known, n=1)
        said = f"no runs of experiment={experiment} in {outputs}; it has {', '.join(known) or 'none'}"
        super().__init__(said + (f"; did you mean {near[0]}?" if near else ""))


def plan_file(outputs: Path, experiment: str) -> Path:
    """Where an experiment's plan lies."""
    return outputs / "experiments" / experiment / "plan.jsonl"


def read_plan(path: Path) -> list[dict[str, Any]]:
    """Lines in order, one per (cell, seed); torn lines are passed over.

    ValueError for a plan of another schema, for a line that is no line of ours, and where nothing can be read.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    try:
        lines = read_lines(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); use another outputs=FOLDER") from error
    for at, line in enumerate(lines, 1):
        try:
            entry = parse(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        schema = entry.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise ValueError(f"{path} has schema {schema}, this version reads {SCHEMA}; use another outputs=FOLDER")
        wrong = _wrong(entry)
        if wrong:
            raise ValueError(
                f"line {at} of {path} {wrong}: written by another version or edited; "
                "delete the line, or use another outputs=FOLDER"
            )
        found[entry["cell"], entry["seed"]] = entry
    return list(found.values())


def _wrong(entry: Mapping[str, Any]) -> str:
    lacking = [name for name in FIELDS if name not in entry]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    found = broken(entry, FIELDS | OPTIONAL)
    return f"has {found[0]}" if found else ""


def add_to_plan(path: Path, entries: list[dict[str, Any]]) -> int:
    """Append those that are not there yet, under a lock; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with append(path, "a+") as file:
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
    """Names of all experiments that have a plan; other folders are passed over."""
    names = (path.parent.name for path in (outputs / "experiments").glob("*/plan.jsonl"))
    return sorted(name for name in names if NAMED.fullmatch(name))
