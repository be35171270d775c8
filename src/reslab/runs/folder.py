"""A run on disk: names of its files, atomic writing, the lock."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class RunFolder:
    """`outputs/runs/<label>-<hash8>/seed=<n>/` and what lies in it."""

    path: Path

    @property
    def config(self) -> Path:
        """The frozen configuration: the only thing that the worker reads."""
        return self.path / "config.yaml"

    @property
    def status(self) -> Path:
        """State of the run while it is not ended."""
        return self.path / "status.json"

    @property
    def metrics(self) -> Path:
        """One row a line, append-only."""
        return self.path / "metrics.jsonl"

    @property
    def result(self) -> Path:
        """Written last and atomically: the run is done."""
        return self.path / "result.json"

    @property
    def checkpoints(self) -> Path:
        """last.ckpt, previous.ckpt."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """Everything that the worker printed."""
        return self.path / "log.txt"

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Yields whether this process now holds the run; the system lets go of the lock when the process dies."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a record whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w") as file:
            json.dump({"schema": SCHEMA, **value}, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """A record; None where there is none or it is torn."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
