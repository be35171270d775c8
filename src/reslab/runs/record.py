"""metrics.jsonl: written append-only, read so that every step counts once."""

import json
import math
from pathlib import Path
from typing import Any

from reslab.runs.fields import is_whole, number
from reslab.runs.folder import SCHEMA


class Rows:
    """Appends rows of one attempt, each flushed; a torn line of an earlier attempt is closed first."""

    def __init__(self, path: Path, attempt: int) -> None:
        """`attempt` is written into every row."""
        path.touch()
        with path.open("rb") as file:
            torn = file.read()[-1:] not in (b"", b"\n")
        self._file, self._attempt = path.open("a"), attempt
        if torn:
            self._file.write("\n")

    def write(self, row: dict[str, Any]) -> None:
        """One line; what is not finite is written as null."""
        clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        self._file.write(json.dumps({"schema": SCHEMA, "attempt": self._attempt, **clean}, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows by step, of numbers and null alone; where attempts overlap the highest one counts.

    Torn lines, and rows without a step and an attempt, are passed over.
    """
    best: dict[int, dict[str, Any]] = {}
    if not path.exists():
        return []
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or not all(is_whole(row.get(name)) for name in ("step", "attempt")):
            continue
        step = row["step"]
        if step not in best or row["attempt"] >= best[step]["attempt"]:
            best[step] = {name: value for name, value in row.items() if value is None or number(value) is not None}
    return [best[step] for step in sorted(best)]


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty if there is none."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")
