"""A run on disk: names of its files, atomic writing, the lock."""

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from reslab.runs.reading import parse, read_bytes

SCHEMA = 1
UNFINISHED = re.compile(r"\..+\.\d+")
"""Names of files that are being written: those of `write_json` and `parquet.write_table`, with the process's number."""


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

    def log_of(self, rank: int) -> Path:
        """The same for one rank of several; rank 0 writes into `log`."""
        return self.path / f"rank{rank}.log" if rank else self.log

    def check_links(self) -> None:
        """OSError where the folder, or anything in it, is a link: what is written there would land elsewhere."""
        for path in (self.path.parent, self.path, *self.path.rglob("*")):
            if path.is_symlink():
                raise OSError(errno.ELOOP, "it is a link; a run writes into its own folder alone", str(path))

    def clear_unfinished(self) -> None:
        """Remove files that a killed process had begun and not put in place; for whoever holds the run."""
        for path in self.path.rglob(".*"):
            if UNFINISHED.fullmatch(path.name):
                path.unlink()

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Yields whether this process now holds the run; the system lets go of the lock when the process dies.

        OSError as `check_links`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.check_links()
        with append(self.path / ".lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def append(path: Path, mode: str = "a") -> IO[str]:
    """Open for appending, made if need be; OSError for a link."""

    def straight(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666)

    return open(path, mode, errors="replace", opener=straight)


def file_name(word: object) -> str:
    """A word of a config as the name of a file or folder: nothing in it leads elsewhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", str(word))[:96]


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a record whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        with beside.open("x") as file:  # a new file, never one that somebody put there as a link
            json.dump({"schema": SCHEMA, **value}, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """A record, whose texts can be printed; None where there is none or it is torn."""
    try:
        value = parse(read_bytes(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
