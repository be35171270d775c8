"""Whether units can be appended to the net of a finished run: looked at before any work, without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reslab.runs.folder import RunFolder, read_json
from reslab.runs.reading import read_config

SAME = ("block", "order", "shortcut", "join", "norm", "act", "net", "width")
SUITS = {"block": "basic", "order": "post", "shortcut": "none", "norm": "batch", "act": "relu"}


def fill_in(config: dict[str, Any]) -> None:
    """Put the source run's weights hash, and its absolute path, into an intervention that names a run; in place.

    ValueError where the folder holds no finished run, or one that does not fit this config.
    """
    node = config["intervention"]
    if "run" not in node:
        return
    folder = RunFolder(Path(str(node["run"])).absolute())
    result = finished(folder)
    source = read_config(folder.config)
    try:
        check_fit(source, config)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder.config} is no config of a run ({type(error).__name__}: {error})") from error
    if node["weights"] not in ("", result["weights"]):
        raise ValueError(f"intervention.weights={node['weights']} is not what {folder.path} holds; leave it out")
    node["run"], node["weights"] = str(folder.path), result["weights"]


def finished(folder: RunFolder, *, outcomes: tuple[str, ...] = ("trained",)) -> dict[str, Any]:
    """The result of a run that ended so and kept its weights; ValueError for any other folder."""
    if not folder.path.is_dir():
        raise ValueError(f"{folder.path} does not exist; run folders are outputs/runs/<label>-<hash>/seed=<n>")
    result = read_json(folder.result)
    if result is None or not isinstance(result.get("weights"), str):
        raise ValueError(f"{folder.path} holds no finished run; train it first, or use the folder of another one")
    if result.get("outcome") not in outcomes:
        raise ValueError(f"{folder.path} ended {result.get('outcome')}; use the folder of a run that was trained")
    if not (folder.checkpoints / "last.ckpt").exists():
        raise ValueError(f"{folder.path} kept no weights; train it with checkpoints=final")
    return result


def check_suits(source: Mapping[str, Any], depth: int) -> None:
    """ValueError unless units can be appended to the source run's net, up to `depth` layers."""
    choices, shallow = source["choices"], source["depth"]
    for group, needed in SUITS.items():
        if choices.get(group, needed) != needed:
            raise ValueError(
                f"the run has {group}={choices[group]}, whose units cannot be made the identity; "
                f"use a run of {group}={needed}"
            )
    if depth <= shallow:
        raise ValueError(f"depth={depth} is not deeper than the run's {shallow}; use depth={shallow + 6} or more")


def check_fit(source: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """ValueError unless the net of `config` is the source run's with more units, for images of the same kind."""
    check_suits(source, config["depth"])
    wanted = {name: (source.get(name), config[name]) for name in SAME}
    for name in ("channels", "size", "classes", "validation", "split_seed"):
        wanted[f"data.{name}"] = source["data"].get(name), config["data"][name]
    wanted["data"] = source["choices"].get("data"), config["choices"]["data"]
    wanted["recipe.normalise"] = source["recipe"].get("normalise"), config["recipe"]["normalise"]
    for name, (theirs, ours) in wanted.items():
        if theirs != ours:
            old = source["choices"].get(name, theirs)
            raise ValueError(
                f"the shallow run was trained with {name}={old}, the deep one has "
                f"{config['choices'].get(name, ours)}; use {name}={old}"
            )
