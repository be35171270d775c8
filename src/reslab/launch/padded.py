"""A finished run's net with units appended that do nothing: the source read, checked and padded. Imports torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reslab.data.module import Part, part
from reslab.data.normalise import Normalisation
from reslab.data.split import some, trained_and_validation
from reslab.launch.build import build_net, read_data
from reslab.launch.evidence import weights_hash
from reslab.nets import identity_padding
from reslab.nets.build import Net
from reslab.runs.folder import RunFolder
from reslab.runs.reading import read_config
from reslab.training.weights import read_checkpoint


def training_images(config: Mapping[str, Any]) -> Part:
    """The training split that a config's run learns from, on the CPU."""
    data = config["data"]
    everything = part(read_data(config)("train"), torch.device("cpu"))
    kept, _ = trained_and_validation(everything.labels.numpy(), data["validation"], data["split_seed"])
    return everything.select(kept)


def calibration(images: Part, count: int, *, split_seed: int) -> Part:
    """`count` of these images, or all where there are no more; the same ones for the same split."""
    return images.select(some(images.labels.numpy(), count, split_seed, "calibration"))


def pad(shallow: Net, deep: Net, images: Part, normalisation: Normalisation) -> None:
    """Give `deep`, in place, the function of `shallow`; `images` set the new norms, as one batch."""
    batch = normalisation(images.images).contiguous(memory_format=torch.channels_last)
    identity_padding.pad(shallow, deep, batch)


def pad_from_run(config: Mapping[str, Any], deep: Net) -> None:
    """Give the net of a config with `intervention=constructed` the function of the run that it names; in place.

    ValueError where the folder no longer holds the weights that the config was planned with.
    """
    node = config["intervention"]
    folder = RunFolder(Path(node["run"]))
    file = folder.checkpoints / "last.ckpt"
    state, source = read_checkpoint(file), read_config(folder.config)
    shallow = build_net({**config, "depth": source["depth"], "intervention": {}})
    assert isinstance(shallow, Net), "launch.padding refuses others"
    shallow.load_state_dict(state["state_dict"])
    if weights_hash(shallow) != node["weights"]:
        raise ValueError(f"{file} holds other weights than when this run was planned; plan it anew")
    images = calibration(training_images(config), node["images"], split_seed=config["data"]["split_seed"])
    pad(shallow, deep, images, Normalisation(**state["normalisation"]))
