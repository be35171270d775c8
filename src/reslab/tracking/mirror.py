"""What of a run W&B holds, and under which names: pure functions of the run's records, without W&B."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from reslab.runs.folder import RunFolder
from reslab.runs.record import read_rows
from reslab.runs.status import attempts

Row = dict[str, Any]
CHOICES = ("block", "order", "shortcut", "norm", "net", "act", "data", "recipe", "intervention")
RECIPE = ("lr", "steps", "batch", "precision")
CONFIG_KEYS = (*CHOICES, *RECIPE, "depth", "width", "seed", "cell", "params", "macs", "experiment")
"""The flat config columns: what a reviewer groups and filters by."""
SCORES = ("train", "train_fresh_norm", "validation", "test")
RECORD = "record"
"""The summary value that names the record which was uploaded whole."""


def run_id(config: Mapping[str, Any], attempt: int) -> str:
    """cell-seed-attempt: the same for every resumption, another for a fresh start."""
    return f"{config['run']['cell'][:12]}-s{config['seed']}-a{attempt}"


def origin(folder: RunFolder) -> int:
    """The attempt that began at step 0, which names the run at W&B."""
    return attempts(folder)[1] or 1


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """CONFIG_KEYS and their values."""
    run = config["run"]
    flat = {name: config["choices"][name] for name in CHOICES}
    flat |= {name: config["recipe"][name] for name in RECIPE}
    flat |= {name: config[name] for name in ("depth", "width", "seed")}
    return flat | {
        "cell": run["cell"][:8],
        "params": run["params"],
        "macs": run["macs"],
        "experiment": run["experiment"],
    }


def group(config: Mapping[str, Any]) -> str:
    """Runs of one cell form one group."""
    return f"{config['run']['label'][:100]}-{config['run']['cell'][:8]}"


def identity(config: Mapping[str, Any], attempt: int) -> dict[str, Any]:
    """What wandb.init is told of a run, whether it is mirrored while it trains or pushed afterwards."""
    flat = flat_config(config)
    return {
        "id": run_id(config, attempt),
        "name": f"{group(config)}-s{config['seed']}",
        "group": group(config),
        "job_type": "train",
        "tags": sorted({tag(flat[name]) for name in ("experiment", "block", "shortcut")}),
        "config": flat | {"config": {key: value for key, value in config.items() if key != "run"}},
    }


def tag(word: str) -> str:
    """A tag as W&B takes it, of 64 characters at most."""
    return word[:64]


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as flat values: final/train_error and so on."""
    flat = {key: value for key, value in result.items() if isinstance(value, str | int | float) and key != "schema"}
    for part in SCORES:
        flat |= {f"final/{part}_{name}": value for name, value in result.get(part, {}).items() if value is not None}
    return flat


def rows(folder: RunFolder) -> list[Row]:
    """The rows of metrics.jsonl that count, since the run last began at step 0; null was not finite."""
    first = origin(folder)
    found = [row for row in read_rows(folder.metrics) if row["attempt"] >= first]
    return [
        {key: math.nan if value is None else value for key, value in row.items() if key != "schema"} for row in found
    ]


def place(row: Mapping[str, Any]) -> tuple[int, int]:
    """Attempt and step: where a row belongs; no two that are logged share it."""
    return int(row["attempt"]), int(row["step"])


def missing(own: Iterable[Row], known: set[tuple[int, int]]) -> list[Row]:
    """Rows that W&B has not got, in order."""
    return [row for row in own if place(row) not in known]


def digest(*parts: Any) -> str:
    """A short name of records: equal records have equal names."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
