"""Tiny nets straight from the files in conf/, without composing (which costs a quarter of a second each)."""

from pathlib import Path

import pytest
import yaml

from reslab.launch.construct import make_net
from reslab.nets.build import Net
from reslab.nets.initialise import Law, initialise

CONF = Path(__file__).parents[2] / "conf"
CHOSEN = {
    "block": "basic",
    "order": "post",
    "shortcut": "identity",
    "join": "add",
    "norm": "batch",
    "act": "relu",
    "net": "cifar",
}


def read(group, name):
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    for parent in node.pop("defaults", []):
        node = read(group, parent) | node
    return node


@pytest.fixture(scope="session")
def conf():
    """conf(group, name): one file of conf/ as a dict."""
    return read


@pytest.fixture(scope="session")
def describe():
    """describe(block=..., set={"block.expansion": 2}, ...): a NetSpec; depth defaults to one unit a stage."""

    def make(*, depth=None, width=8, image=(1, 8, 10), values=None, **chosen):
        config = {group: read(group, chosen.get(group, default)) for group, default in CHOSEN.items()}
        assert set(chosen) <= set(CHOSEN)
        for key, value in (values or {}).items():
            group, _, name = key.partition(".")
            assert name in config[group]
            config[group][name] = value
        if depth is None:
            depth = 11 if "bottleneck" in chosen.get("block", "basic") else 8
        data = dict(zip(("channels", "size", "classes"), image, strict=True))
        return make_net(config | {"trust": [], "depth": depth, "width": width, "data": data})

    return make


@pytest.fixture(scope="session")
def build(describe):
    """As `describe`, but the initialised net."""

    def make(*, seed=0, init="he", **chosen):
        net = Net(describe(**chosen))
        laws = {name: Law(**law) for name, law in read("init", init).items()}
        initialise(net, seed=seed, **laws)
        return net

    return make
