"""Objects from configs, for allow-listed targets only."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.utils import instantiate

from reslab.specs import Choices, Image, NetSpec

GROUPS = ("block", "order", "shortcut", "join", "norm", "act")


def construct(node: Any, trust: Sequence[str] = ()) -> Any:
    """Instantiate a plain config node; ValueError for a `_target_` outside reslab and the trusted packages."""
    for target in targets(node):
        if target.split(".")[0] not in ("reslab", *trust):
            package = target.split(".")[0]
            raise ValueError(f"_target_ {target} is not trusted; if you know it, add trust=[{package}]")
    return instantiate(node, _convert_="all")


def targets(node: Any) -> list[str]:
    """Every `_target_` in a config, at any depth."""
    if isinstance(node, Mapping):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for value in node.values() for target in targets(value)]
    if isinstance(node, list | tuple):
        return [target for value in node for target in targets(value)]
    return []


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
            if target.split(".")[0] not in ("reslab", *config["trust"]):
                construct({"_target_": target}, config["trust"])  # refuses, naming the package to trust
        return None
    return make_net(config)
