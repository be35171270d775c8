"""status.json: who works on a run, and whether that process is still alive."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reslab.runs.fields import is_whole, number
from reslab.runs.folder import SCHEMA, RunFolder, read_json, write_json
from reslab.runs.reading import first_line, parse

DONE = ("trained", "at_chance", "diverged")
LOST = 60.0  # seconds without a word after which a process on another machine counts as gone


def process_identity() -> dict[str, Any]:
    """Host, boot, pid and start time of this process: together never the same twice."""
    return {"host": socket.gethostname(), "boot": boot_id(), "pid": os.getpid(), "started": start_time(os.getpid())}


def boot_id() -> str:
    """Changes at every boot; empty where the system does not tell."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which a process began; None if none of that pid lives (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def write_status(folder: RunFolder, state: str, facts: Mapping[str, Any]) -> None:
    """Replace the status: running, ended or interrupted, with its facts."""
    write_json(folder.status, {"state": state, "heartbeat": time.time(), **process_identity(), **facts})


def interrupt(folder: RunFolder) -> None:
    """Say that nobody works on a run any more; how far it was is kept."""
    status = read_json(folder.status) or {}
    kept = ("attempt", "origin", "step", "steps")
    write_status(folder, "interrupted", {name: status[name] for name in kept if name in status})


def attempts(folder: RunFolder) -> tuple[int, int]:
    """Attempts so far, and the one that began at step 0; zeros where the status does not tell."""
    status = read_json(folder.status) or {}
    attempt, origin = (int(status[name]) if is_whole(status.get(name)) else 0 for name in ("attempt", "origin"))
    return attempt, origin


@dataclass(frozen=True)
class Records:
    """What the records of a run say at one moment, each read once; None where there is none or it is torn."""

    folder: RunFolder
    status: dict[str, Any] | None
    alive: bool
    """Whether the process that the status names still works on the run."""
    result: dict[str, Any] | None
    torn: bool
    """Whether there is a result that cannot be read."""
    row: dict[str, Any] | None
    """The first one of metrics.jsonl."""

    @classmethod
    def of(cls, folder: RunFolder) -> "Records":
        """The result after the status: a worker writes it before it ends, so that none is overlooked between them."""
        status = read_json(folder.status)
        alive = status is not None and status.get("state") == "running" and _alive(status)
        result, there = read_json(folder.result), True
        if result is None and (there := folder.result.exists()):  # torn, or written just now
            result = read_json(folder.result)
        return cls(folder, status, alive, result, there and result is None, _first_row(folder.metrics))

    @property
    def foreign(self) -> list[str]:
        """A sentence per record of another schema, which may mean anything: nothing else of it is looked at."""
        records = (("result.json", self.result), ("status.json", self.status), ("metrics.jsonl", self.row))
        return [
            f"{name} has schema {record['schema']}, this version reads {SCHEMA}; read it with the version that wrote it"
            for name, record in records
            if record is not None and record.get("schema", SCHEMA) != SCHEMA
        ]

    @property
    def state(self) -> str:
        """ended, failed, running, interrupted, new, or other schema (made by another version: left alone).

        A `running` whose process is gone is interrupted.
        """
        if self.foreign:
            return "other schema"
        if self.result is not None:
            return "ended" if self.result.get("outcome") in DONE else "failed"
        if self.status is None:
            return "new"
        return "running" if self.alive else "interrupted"


def state(folder: RunFolder) -> str:
    """As `Records.state`, of what the folder holds now."""
    return Records.of(folder).state


def _first_row(path: Path) -> dict[str, Any] | None:
    try:
        row = parse(first_line(path))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None


def _alive(status: dict[str, Any]) -> bool:
    if status.get("host") != socket.gethostname():
        # of another machine there is only its word; one whose clock is ahead of ours is no more alive for that
        return abs(time.time() - (number(status.get("heartbeat")) or 0)) < LOST
    pid = status.get("pid")
    born = start_time(pid) if isinstance(pid, int) and is_whole(pid, least=1) else None
    return born is not None and status.get("boot") == boot_id() and status.get("started") == born
