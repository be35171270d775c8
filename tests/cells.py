"""Configs of nets for tests, from single choices: composing every combination anew would take 0.2 s each."""

from functools import cache

from reslab.launch.build import build_net
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve


@cache
def composed(*overrides):
    """A resolved config as the command line would have it; do not change it."""
    return resolve(*compose("train", list(overrides)))


def cell(*choices, image=(1, 8, 10), seed=0, start=(), **values):
    """The config with these "group=choice" words and top-level values; `image` is channels, side, classes."""
    made = composed(*start)
    for choice in choices:
        group = choice.split("=")[0]
        made = made | {group: composed(choice)[group]}
    data = made["data"] | dict(zip(("channels", "size", "classes"), image, strict=True))
    return made | {"data": data, "seeds": made["seeds"] | {"init": seed}} | values


def net(*choices, **values):
    """The initialised net of such a config."""
    return build_net(cell(*choices, **values))
