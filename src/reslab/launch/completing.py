"""What may come next on a command line, from the files of conf/; no Hydra, since a shell asks at every Tab."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from reslab.launch.paths import conf_folder
from reslab.runs.plan import experiments

GRID = ("train", "plan")  # verbs that take every group, and `experiment` as one
WORDS = {
    "format": ("text", "json"),
    "part": ("sweep", "steps", "runs", "growth", "packing"),
    "race.trainer": ("cpu", "gpu"),
}


def candidates(verbs: Iterable[str], words: Sequence[str]) -> list[str]:
    """Whole words that may stand where the last of `words` is begun; the first one is the verb."""
    begun = words[-1] if words else ""
    if len(words) <= 1:
        found: Iterable[str] = verbs
    elif words[0] == "completion":
        found = ("bash", "zsh")
    elif "=" in begun:
        key, _, value = begun.partition("=")
        before = value.rpartition(",")[0]
        given = set(before.split(",")) if before else set()
        found = [f"{key}={before}{',' * bool(before)}{v}" for v in _values(words, key) if v not in given]
    elif "." in begun:
        found = _below(words, begun.rpartition(".")[0])
    else:
        found = _keys(words[0])
    return sorted({word for word in found if word.startswith(begun)})


def _folders() -> list[Path]:
    return [Path.cwd() / "conf", conf_folder()]


def _read(name: str) -> dict[str, Any]:
    """A file of conf/, the user's own first; empty where there is none or it cannot be read."""
    for folder in _folders():
        try:
            read = yaml.safe_load((folder / f"{name}.yaml").read_text())
            return read if isinstance(read, dict) else {}
        except (OSError, yaml.YAMLError):
            continue
    return {}


def _choices(group: str) -> list[str]:
    known = [file.stem for folder in _folders() for file in (folder / group).glob("*.yaml")]
    return known if group.isidentifier() else []


def _keys(verb: str) -> list[str]:
    config = _read("train" if verb in GRID else verb)
    groups = {key.split()[-1] for item in config.get("defaults", []) if isinstance(item, dict) for key in item}
    groups = {name for name in groups if "/" not in name}
    own = [f"{key}." if isinstance(node, dict) and node else f"{key}=" for key, node in _settings(config).items()]
    also = ["format="] if verb == "plan" else []
    return [
        *own,
        *also,
        *(word for group in groups for word in (f"{group}=", *([f"{group}."] if verb in GRID else []))),
    ]


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    return {str(key): node for key, node in config.items() if key not in ("defaults", "hydra")}


def _values(words: Sequence[str], key: str) -> Sequence[str]:
    verb = words[0]
    if key == "experiment" and verb not in GRID:
        return [*_planned(words), *_choices("experiment")]
    default = _read("train" if verb in GRID else verb).get(key)
    if isinstance(default, bool):
        return ("true", "false")
    return WORDS[key] if key in WORDS else _choices(key)


def _planned(words: Sequence[str]) -> list[str]:
    given = [word.partition("=")[2] for word in words if word.startswith("outputs=")]
    return experiments(Path(given[-1] if given else "outputs"))


def _below(words: Sequence[str], path: str) -> list[str]:
    """Settings one level below a dotted key, of the choice on the command line or the one by default."""
    first, *rest = path.split(".")
    config = _read("train" if words[0] in GRID else words[0])
    node: Any = config.get(first) or _chosen(words, first, config)
    for part in rest:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return []
    return [
        f"{path}.{key}{'.' if isinstance(value, dict) and value else '='}" for key, value in _settings(node).items()
    ]


def _chosen(words: Sequence[str], group: str, config: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for item in config.get("defaults", []) if isinstance(item, dict) for key, value in item.items()}
    made |= {word.partition("=")[0]: word.partition("=")[2] for word in words if "=" in word}
    chosen = _read(f"{group}/{made.get(group)}")
    for base in chosen.get("defaults", []):  # a file that begins with another of its group
        chosen = _read(f"{group}/{base}") | chosen if isinstance(base, str) else chosen
    return chosen
