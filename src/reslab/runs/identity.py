"""Identity: which settings make a run another run. Everything else is recorded, and does not rename it."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

CELL_VERSION = 1

IDENTITY = (
    *(f"choices.{group}" for group in ("block", "order", "shortcut", "join", "norm", "act", "init", "net")),
    *("block", "order", "shortcut", "join", "norm", "act", "init", "net"),
    *("choices.intervention", "intervention"),
    *("depth", "width"),
    *(f"data.{key}" for key in ("fingerprint", "channels", "size", "classes", "validation", "split_seed")),
    "recipe",
    *("trainer.sync_batchnorm", "trainer.images_per_norm"),
    "fixed_streams",
    "callbacks",
)
RECORDED = (
    *(
        f"choices.{group}"
        for group in ("data", "recipe", "trainer", "tracking", "probes", "launcher", "experiment", "debug")
    ),
    *("data", "trainer", "tracking", "probes", "evaluation", "checkpoints", "checkpoint_every"),
    *("seed", "seeds", "devices", "num_nodes", "jobs", "runs_per_gpu", "outputs", "trust", "run", "study"),
    "intervention.run",  # where a run lies that training starts from; its weights are part of the identity
)
PLANNED = {
    **{name: f"choices.{name}" for name in ("block", "order", "shortcut", "norm", "net", "intervention")},
    **{name: name for name in ("depth", "width")},
    **{name: f"recipe.{name}" for name in ("lr", "steps", "batch", "precision")},
    "classes": "data.classes",
}
"""The columns of a plan that belong to the identity, and where a config has them; two names of one recipe do not."""
INERT = {
    "choices.join": "add",
    "choices.intervention": "none",
    "trainer.sync_batchnorm": False,
    "callbacks": {},
    "fixed_streams": {},  # by default every stream follows the seed, which is not part of the cell
}
OURS = "reslab."


def declared(key: str) -> str | None:
    """Whether a key (dotted) is "identity" or "recorded"; the longest declared prefix decides, None is undeclared."""
    best: tuple[int, str | None] = (0, None)
    for kind, prefixes in (("identity", IDENTITY), ("recorded", RECORDED)):
        for prefix in prefixes:
            if (key == prefix or key.startswith(prefix + ".")) and len(prefix) > best[0]:
                best = (len(prefix), kind)
    return best[1]


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The positive list of resolved settings that make a cell; inert values and our own import paths left out."""
    kept: dict[str, Any] = {"cell_version": CELL_VERSION}
    for key in IDENTITY:
        value = _lookup(config, key)
        if value is _ABSENT or (key in INERT and value == INERT[key]):
            continue
        value = _without_our_paths(_without_recorded(key, value))
        if value != {}:
            kept[key] = value
    return kept


def cell_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `identity`."""
    text = json.dumps(identity(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def planned(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the config says of the columns PLANNED; a column that it lacks is absent."""
    found = {name: _lookup(config, key) for name, key in PLANNED.items()}
    return {name: value for name, value in found.items() if value is not _ABSENT}


def label(config: Mapping[str, Any]) -> str:
    """A readable name of a cell, safe as a folder and as a W&B group."""
    choices = config["choices"]
    parts = [choices["block"], choices["order"], choices["shortcut"], f"d{config['depth']}", f"w{config['width']}"]
    parts += [choices[group] for group in ("net", "norm") if choices[group] not in ("cifar", "batch")]
    parts += [choices["intervention"]] if choices["intervention"] != "none" else []
    parts += _of_ranks(config)
    parts += [choices["data"], choices["recipe"]]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(map(str, parts)))[:96]


def _of_ranks(config: Mapping[str, Any]) -> list[str]:
    """Whether norms see other images than those of one rank's whole batch, for which a name need say nothing."""
    trainer = config["trainer"]
    if trainer["sync_batchnorm"]:
        return ["sync"]
    return [f"{trainer['images_per_norm']}_per_norm"] if trainer["images_per_norm"] != config["recipe"]["batch"] else []


_ABSENT = object()


def _lookup(config: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(config, Mapping) or part not in config:
            return _ABSENT
        config = config[part]
    return config


def _without_recorded(key: str, value: Any) -> Any:
    """Leave out what is declared as recorded below a key of the identity."""
    if not isinstance(value, Mapping):
        return value
    return {name: inner for name, inner in value.items() if declared(f"{key}.{name}") == "identity"}


def _without_our_paths(value: Any) -> Any:
    """Keep only the name of a `_target_` of ours: moving our files must not rename cells."""
    if isinstance(value, Mapping):
        return {
            str(k): v.rsplit(".", 1)[-1] if k == "_target_" and v.startswith(OURS) else _without_our_paths(v)
            for k, v in value.items()
            if k != "_partial_"
        }
    if isinstance(value, list | tuple):
        return [_without_our_paths(item) for item in value]
    return value
