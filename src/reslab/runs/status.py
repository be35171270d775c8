"""status.json: who works on a run, and whether that process is still alive."""

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reslab.runs.fields import number
from reslab.runs.folder import SCHEMA, RunFolder, read_json, write_json

DONE = ("trained", "at_chance", "diverged")


def process_identity() -> dict[str, Any]:
    """Host, boot, pid and start time of this process: together never the same twice."""
    return {"host": socket.gethostname(), "boot": boot_id(), "pid": os.getpid(), "started": start_time(os.getpid())}


def boot_id() -> str:
    """Changes at every boot; empty where the system does not tell."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which a process began; None if there is none of that pid."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def write_status(folder: RunFolder, state: str, facts: Mapping[str, Any]) -> None:
    """Replace the status: running, ended or interrupted, with its facts."""
    write_json(folder.status, {"state": state, "heartbeat": time.time(), **process_identity(), **facts})


def attempts(folder: RunFolder) -> tuple[int, int]:
    """Attempts so far, and the one that began at step 0; zeros where the status does not tell."""
    status = read_json(folder.status) or {}
    numbers = [status.get(name) for name in ("attempt", "origin")]
    attempt, origin = (number if isinstance(number, int) else 0 for number in numbers)
    return attempt, origin


def foreign(folder: RunFolder) -> list[str]:
    """A sentence per record of another schema, which may mean anything: nothing else of it is looked at."""
    records = {path.name: read_json(path) for path in (folder.result, folder.status)}
    records[folder.metrics.name] = _first_row(folder.metrics)
    return [
        f"{name} has schema {record['schema']}, this version reads {SCHEMA}; read it with the version that wrote it"
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


def state(folder: RunFolder) -> str:
    """ended, failed, running, interrupted, new, or other schema (made by another version: left alone).

    A `running` whose process is gone is interrupted.
    """
    if foreign(folder):
        return "other schema"
    result = read_json(folder.result)
    if result is not None:
        return "ended" if result.get("outcome") in DONE else "failed"
    status = read_json(folder.status)
    if status is None:
        return "new"
    if status.get("state") != "running":
        return "interrupted"
    return "running" if _alive(status) else "interrupted"


def _alive(status: dict[str, Any]) -> bool:
    if status.get("host") != socket.gethostname():
        return time.time() - (number(status.get("heartbeat")) or 0) < 60
    born = start_time(status.get("pid", -1))
    return born is not None and status.get("boot") == boot_id() and status.get("started") == born
