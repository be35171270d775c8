"""Data are decoded, checked and cached in a process of their own before any run starts."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from reslab.launch import server


def prepare_data(config: dict[str, Any]) -> str:
    """Empty if all is well, else what is wrong with the data."""
    descriptor, name = tempfile.mkstemp(suffix=".reslab")
    os.close(descriptor)
    complaint = Path(name)
    try:
        process = server.start(_prepare, (config, name), log=Path(os.devnull), environment={}, threads=1)
        process.join()
        said = complaint.read_text()
        return said or ("" if process.exitcode == 0 else f"reading the data ended with exit code {process.exitcode}")
    finally:
        with contextlib.suppress(OSError):
            complaint.unlink()


def _prepare(config: dict[str, Any], complaint: str) -> None:
    from reslab.launch.worker import prepare_data as decode

    try:
        decode(config)
    except Exception as error:
        Path(complaint).write_text(str(error) or type(error).__name__)
        raise SystemExit(1) from error
