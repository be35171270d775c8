"""Objects of one run from its resolved config: net, data, classifier. Imports torch."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reslab.data import normalise
from reslab.data.arrays import Arrays, cached, checked
from reslab.data.module import ImageData
from reslab.data.plan import Plan
from reslab.launch.construct import construct, image, make_net
from reslab.nets.build import Net
from reslab.nets.initialise import Law, initialise
from reslab.specs import NetSpec
from reslab.training import recompute, schedule
from reslab.training.captured import Captured
from reslab.training.classifier import Classifier
from reslab.training.fused import as_one
from reslab.training.optimise import groups
from reslab.training.steps import Forward, Update, directly, plainly


def read_data(config: Mapping[str, Any]) -> Callable[[str], Arrays]:
    """Reader of a part of the configured source, through the cache under outputs."""
    data = config["data"]
    source = construct(data["source"], config["trust"])
    cache = Path(config["outputs"]) / "cache"

    def read(part: str) -> Arrays:
        arrays = cached(lambda: source.read(part), cache, f"{data['fingerprint'][:16]}-{part}")
        return checked(arrays, image(config), data["rows"][part], f"data={config['choices']['data']} ({part})")

    return read


def build_net(config: Mapping[str, Any]) -> nn.Module:
    """The initialised net of a config, as its intervention prepares it, in channels_last order."""
    made = make_net(config)
    net = Net(made) if isinstance(made, NetSpec) else made
    if not isinstance(net, nn.Module):
        raise ValueError(f"net gave {type(made).__name__}; it must give a NetSpec or a torch module")
    init = config["init"]
    initialise(net, seed=config["seeds"]["init"], conv=Law(**init["conv"]), linear=Law(**init["linear"]))
    if "prepare" in config["intervention"]:
        construct(config["intervention"]["prepare"], config["trust"])(net)
    if "run" in config["intervention"]:
        from reslab.launch.padded import pad_from_run  # which builds the other net by this function

        assert isinstance(net, Net), "launch.padding refuses others"
        pad_from_run(config, net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs


def build_data(config: Mapping[str, Any], stops: tuple[int, ...]) -> ImageData:
    """The data module of a config; `stops` as in `callbacks.schedule.slices`."""
    data, recipe, seeds = config["data"], config["recipe"], config["seeds"]
    augment = recipe["augment"]
    plan = partial(
        Plan,
        batch=recipe["batch"],
        pad=augment["pad"],
        flip=augment["flip"],
        order_seed=seeds["order"],
        augment_seed=seeds["augment"],
    )
    return ImageData(
        read=read_data(config),
        held_out=data["validation"],
        split_seed=data["split_seed"],
        normalise={"pixel_mean": normalise.pixel_mean, "channel": normalise.channel}[recipe["normalise"]],
        plan=lambda rows: plan(rows=rows),
        stops=stops,
    )


def build_classifier(config: Mapping[str, Any], net: nn.Module) -> Classifier:
    """Net, optimiser, learning rate and intervention of a config."""
    recipe = config["recipe"]
    make = construct(recipe["optimiser"], config["trust"])
    shape = construct(recipe["schedule"], config["trust"])
    warmup = recipe["warmup"]
    factor = partial(
        schedule.factor,
        steps=recipe["steps"],
        shape=shape,
        warmup=warmup["steps"],
        warmup_factor=warmup["factor"],
    )
    return Classifier(
        net,
        optimiser=lambda n: make(
            groups(n, weight_decay=recipe["weight_decay"], decay=recipe["decay"]), lr=recipe["lr"]
        ),
        lr=lambda step: recipe["lr"] * factor(step),
        seed=config["seeds"]["augment"],
        update=build_update(config, net),
        forward=build_forward(config, net),
        captured=build_captured(config.get("trainer", {})),
    )


def build_update(config: Mapping[str, Any], net: nn.Module) -> Update:
    """How the config's intervention makes a step; built from the initial net, before a checkpoint is restored."""
    node = config["intervention"]
    return construct(node["update"], config["trust"])(net) if "update" in node else plainly


def build_captured(trainer: Mapping[str, Any]) -> Captured | None:
    """The recorded step of a run that has one; a config from before there was a choice has none."""
    return Captured(compiled=trainer["compile"]) if trainer.get("cuda_graph", False) else None


def build_forward(config: Mapping[str, Any], net: nn.Module) -> Forward:
    """How training computes the logits; ValueError where the net has no units whose activations could be left out."""
    trainer = config.get("trainer", {})
    if trainer.get("compile", False) and not trainer.get("cuda_graph", False):  # a recorded step compiles by itself
        return as_one(net)
    if not trainer.get("activation_checkpointing", False):  # a config from before there was a choice
        return directly
    recompute.stages(net)
    return recompute.recomputing
