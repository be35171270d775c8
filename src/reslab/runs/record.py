"""metrics.jsonl: written append-only, read so that every step counts once."""

import json
import math
from pathlib import Path
from typing import Any

from reslab.runs.fields import is_whole, number
from reslab.runs.folder import SCHEMA, append
from reslab.runs.reading import parse, printable, read_lines

LAST = 2**16  # bytes at the end of a log that hold its last line


class Rows:
    """Appends rows of one attempt, each flushed; a torn line of an earlier attempt is closed first."""

    def __init__(self, path: Path, attempt: int) -> None:
        """`attempt` is written into every row."""
        self._file, self._attempt = append(path), attempt
        torn = path.read_bytes()[-1:] not in (b"", b"\n")
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

    Torn lines, and rows without a step and an attempt, are passed over. ValueError for what is no file of rows.
    """
    best: dict[int, dict[str, Any]] = {}
    if not path.exists():
        return []
    for line in read_lines(path):
        try:
            row = parse(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or not all(is_whole(row.get(name)) for name in ("step", "attempt")):
            continue
        step = row["step"]
        if step not in best or row["attempt"] >= best[step]["attempt"]:
            best[step] = {name: value for name, value in row.items() if value is None or number(value) is not None}
    return [best[step] for step in sorted(best)]


def last_line(log: Path) -> str:
    """The last line of a log that says something, as far as it can be printed; empty if there is none."""
    try:
        size = log.stat().st_size
        if not log.is_file():
            return ""
        with log.open("rb") as file:
            file.seek(max(size - LAST, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = (printable(line).strip() for line in reversed(lines))
    return next((line for line in said if line), "")
