"""A finished run's config on this machine: a folder may come from elsewhere, and names places that are not here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reslab.runs.folder import RunFolder


def outputs_of(folder: RunFolder) -> Path:
    """Where the folder lies now: its config may name a place of another machine, or of ours that it should not."""
    return folder.path.parents[2] if folder.path.parents[1].name == "runs" else folder.path


def unfetched(frozen: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the run's own data, if they are here: what a folder names is not fetched."""
    data = frozen["data"]
    local = {"download": False} if "download" in data["source"] else {}
    return {**frozen, "data": data | {"source": data["source"] | local}}
