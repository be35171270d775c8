"""What an intervention asks of a config: refused early where it would mean nothing, applied where it is a setting.

A node may hold `prepare` (changes the initialised net), `update` (wraps the optimiser's step), `budget` (times the
recipe's steps) and `run` (a finished run to start from); an overlay such as `leaky` sets other groups and holds none.
No torch.
"""

from collections.abc import Callable, Mapping
from typing import Any

KEYS = ("prepare", "update", "budget", "run", "weights", "images")
OVERLAYS = {"leaky": ("act", "leaky"), "no_bn": ("norm", "absent")}
"""Those whose whole content is a choice in another group."""
LEAST = (
    ("prepare", "growth", 0, "positive; pi / (pi - 1) = 1.4669 is the growth under ReLU"),
    ("prepare", "noise", 0, "0 or more; 0.1 is the file's"),
    ("update", "trust", 0, "positive; 0.01 is the file's"),
    ("update", "until", 0, "a number of steps; use null for the whole run"),
)
"""Numbers, their lower bounds, and what they should be."""


def check(config: Mapping[str, Any]) -> None:
    """ValueError for an intervention that the net of this config cannot take, or that another choice undoes."""
    node = config["intervention"]
    unknown = sorted(set(node) - set(KEYS))
    if unknown:
        raise ValueError(f"intervention.{unknown[0]} is unknown; an intervention holds {', '.join(KEYS)}")
    name = config["choices"].get("intervention")
    group, choice = OVERLAYS.get(str(name), ("", None))
    if group and config["choices"].get(group) != choice:
        raise ValueError(
            f"intervention={name} is {group}={choice}, and {group}={config['choices'].get(group)} undoes it; "
            f"leave one of them out"
        )
    for part in ("prepare", "update"):
        target = node.get(part, {}).get("_target_", "") if isinstance(node.get(part, {}), Mapping) else ""
        refuse = REFUSALS.get(target)
        if refuse is not None and (reason := refuse(config)):
            raise ValueError(f"intervention={name} {reason}")
    _check_values(node)


def with_budget(config: dict[str, Any]) -> None:
    """Multiply the recipe's steps by the intervention's budget, in place: the config then holds what is trained."""
    config["recipe"]["steps"] *= config["intervention"].get("budget", 1)


def _check_values(node: Mapping[str, Any]) -> None:
    """ValueError for a number that would stop the training or the clock."""
    budget = node.get("budget", 1)
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise ValueError(f"intervention.budget={budget} is not a whole number of times the recipe's steps; use 3")
    images = node.get("images", 1)
    if isinstance(images, bool) or not isinstance(images, int) or images < 1:
        raise ValueError(f"intervention.images={images} is not an integer of at least 1; 2000 is the file's")
    for part, name, bound, works in LEAST:
        value = node.get(part, {}).get(name)
        if value is not None and not (value >= bound if name in ("noise", "until") else value > bound):
            raise ValueError(f"intervention.{part}.{name}={value} is not {works}")


def _zero_gamma(config: Mapping[str, Any]) -> str:
    if _is(config, "shortcut", "none"):
        return (
            "starts every branch at 0, and with shortcut=none nothing goes around it: every unit is dead for ever; "
            "use a shortcut, such as shortcut=identity, or intervention=dirac_init"
        )
    if not _is(config, "order", "Post"):
        return (
            f"needs a norm at the end of every branch, and order={config['choices'].get('order')} ends it with a "
            "convolution; use order=post"
        )
    return _of_our_net(config) or _normed(config, "sets scales of norms")


def _init_gain(config: Mapping[str, Any]) -> str:
    if not _is(config, "order", "Post") and not _is(config, "shortcut", "none"):
        return (
            f"would change the net's function: with order={config['choices'].get('order')} and a shortcut the last "
            "convolution of a branch is added without a norm; use order=post or shortcut=none"
        )
    return _of_our_net(config) or _normed(config, "leaves the function as it is only where norms follow")


def _dirac_init(config: Mapping[str, Any]) -> str:
    return _of_our_net(config)


def _norm_projection(config: Mapping[str, Any]) -> str:
    return _normed(config, "holds norms of weights that have no say in the function only where norms follow")


def _of_our_net(config: Mapping[str, Any]) -> str:
    if str(config["net"].get("_target_", "")).startswith("reslab."):
        return ""
    return "knows the parts of our own nets alone; use net=cifar, or a `prepare` function of your own"


def _normed(config: Mapping[str, Any], why: str) -> str:
    return f"{why}, and norm=absent has none; use norm=batch" if _is(config, "norm", "Absent") else ""


def _is(config: Mapping[str, Any], group: str, name: str) -> bool:
    target = str(config[group].get("_target_", ""))
    return target.startswith("reslab.") and target.rpartition(".")[2] == name


REFUSALS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "reslab.nets.interventions.zero_gamma": _zero_gamma,
    "reslab.nets.interventions.init_gain": _init_gain,
    "reslab.nets.interventions.dirac_init": _dirac_init,
    "reslab.training.interventions.norm_projection": _norm_projection,
}
