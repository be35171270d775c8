"""Objects from configs, for allow-listed targets only."""

import ast
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf.errors import OmegaConfBaseException

from reslab.specs import Choices, Image, NetSpec

PARTS = ("reslab.specs.", "reslab.nets.", "reslab.data.", "reslab.training.", "reslab.probes.")
GROUPS = ("block", "order", "shortcut", "join", "norm", "act")


def construct(node: Any, trust: Sequence[str] = ()) -> Any:
    """Instantiate a plain config node; ValueError for a `_target_` that is neither a part of ours nor trusted.

    Nor may it hold `${...}`: Hydra would fill in the environment, or nodes that nobody has looked at.
    """
    for target in targets(node):
        check_target(target, trust)
    if "${" in str(node):
        raise ValueError(f"{str(node)[:200]} holds ${{...}}; a config that builds something holds plain values")
    try:
        return instantiate(node, _convert_="all")
    except (TypeError, OmegaConfBaseException) as error:  # a _partial_ that is neither true nor false, a ??? within
        raise ValueError(f"{str(node)[:200]} cannot be built: {error}") from error


def check_target(target: str, trust: Sequence[str]) -> None:
    """ValueError unless `target` is in a trusted package, or defined in one of our parts (not just imported there)."""
    package, (module, _, name) = target.split(".")[0], target.rpartition(".")
    if package in trust:
        return
    if not f"{module}.".startswith(PARTS):
        raise ValueError(f"_target_ {target} is not trusted; if you know it, add trust=[{package}]")
    if name not in (known := _defined(module)):
        near = get_close_matches(name, known, n=1)
        meant = f"; did you mean {module}.{near[0]}?" if near else ""
        raise ValueError(f"_target_ {target} does not exist: {module} defines no {name!r}{meant}")


@lru_cache
def _defined(module: str) -> frozenset[str]:
    """Functions and classes of a module of ours, read where it is not imported: who checks a config has no torch."""
    if module in sys.modules:  # as in a worker: the code that it was forked with counts, not what its file says by now
        own = vars(sys.modules[module]).items()
        return frozenset(name for name, value in own if getattr(value, "__module__", "") == module)
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        return frozenset()
    if found is None or found.origin is None:
        return frozenset()
    body = ast.parse(Path(found.origin).read_text(encoding="utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef))


def targets(node: Any) -> list[str]:
    """Every `_target_` in a config, at any depth."""
    if isinstance(node, Mapping):
        own = [_as_path(node["_target_"])] if "_target_" in node else []
        return own + [target for value in node.values() for target in targets(value)]
    if isinstance(node, list | tuple):
        return [target for value in node for target in targets(value)]
    return []


def _as_path(target: Any) -> str:
    if not isinstance(target, str):
        raise ValueError(f"_target_ must be a path such as reslab.nets.shortcut.identity, not {target!r}")
    return target


def image(config: Mapping[str, Any]) -> Image:
    """The image that the data config declares."""
    data = config["data"]
    return Image(channels=data["channels"], size=data["size"], classes=data["classes"])


def make_net(config: Mapping[str, Any]) -> Any:
    """What the net's config makes of the choices: a NetSpec, or a user's own torch module."""
    trust = config["trust"]
    parts = {group: construct(config[group], trust) for group in GROUPS}
    choices = Choices(**parts, depth=config["depth"], width=config["width"])
    return construct(config["net"], trust)(choices=choices, image=image(config))


def describe(config: Mapping[str, Any]) -> NetSpec | None:
    """The net as data; None where a user's own package has a part in it, which only a worker may import."""
    nodes = [config["net"], *(config[group] for group in GROUPS)]
    if any(not target.startswith("reslab.") for target in targets(nodes)):
        for target in targets(nodes):
            check_target(target, config["trust"])
        return None
    return make_net(config)
