"""How the nets were trained, in words, from the frozen configs of the runs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from reslab.runs.folder import RunFolder
from reslab.runs.reading import read_config

Node = Mapping[str, Any]


def training(runs: pl.DataFrame) -> list[str]:
    """Optimiser, weight decay, schedule, warm-up, augmentation: one phrase each, or several where contexts differ."""
    said: dict[str, dict[str, None]] = {}
    for recipe in _recipes(runs):
        for name, words in _words(recipe).items():
            said.setdefault(name, {})[words] = None
    return [f"{name} {' or '.join(words)}" for name, words in said.items()]


def _recipes(runs: pl.DataFrame) -> Iterable[Node]:
    """One of every context; runs without a readable config are passed over."""
    for _, group in runs.group_by("context", maintain_order=True):
        for folder in group["folder"]:
            try:
                config = read_config(RunFolder(Path(folder)).config)
            except (OSError, ValueError):
                continue
            if isinstance(config, dict) and isinstance(config.get("recipe"), dict):
                yield config["recipe"]
                break


def _words(recipe: Node) -> dict[str, str]:
    found = {
        "optimiser": _part(recipe.get("optimiser")),
        "weight decay": _decay(recipe),
        "schedule": _part(recipe.get("schedule")),
        "warm-up": _warmup(recipe.get("warmup")),
        "augmentation": _augment(recipe.get("augment")),
        "inputs normalised by": str(recipe["normalise"]) if recipe.get("normalise") else "",
    }
    return {name: words for name, words in found.items() if words}


def _part(node: Any) -> str:
    """A component by the last part of its name, with its settings."""
    if not isinstance(node, dict) or "_target_" not in node:
        return ""
    name = str(node["_target_"]).rpartition(".")[2]
    settings = ", ".join(f"{key} {_value(value)}" for key, value in node.items() if not key.startswith("_"))
    return f"{name} ({settings})" if settings else name


def _decay(recipe: Node) -> str:
    if "weight_decay" not in recipe:
        return ""
    on = ", ".join(map(str, recipe.get("decay") or ()))
    return f"{recipe['weight_decay']:g}" + (f" on {on}" if on else "")


def _warmup(node: Any) -> str:
    if not isinstance(node, dict):
        return ""
    if not node.get("steps"):
        return "none"
    start = node.get("from_depth")
    return f"{node['steps']:,} steps at {node.get('factor')} x lr" + (f" from depth {start} on" if start else "")


def _augment(node: Any) -> str:
    if not isinstance(node, dict):
        return ""
    return ", ".join(f"{key} {_value(value)}" for key, value in node.items() if value) or "none"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else str(value)
