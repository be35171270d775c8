"""For notebooks: nets, trained runs and tables from the same configs as the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch
from torch import nn

from reslab.analysis import table
from reslab.data.normalise import Normalisation
from reslab.launch.build import build_net
from reslab.launch.checks import DEEPEST
from reslab.launch.compose import compose
from reslab.launch.construct import describe, image
from reslab.launch.errors import explain
from reslab.launch.freeze import resolve
from reslab.runs.reading import plain
from reslab.specs import Image, cost
from reslab.training.weights import read_checkpoint


class Trained(NamedTuple):
    """A net with its final weights, in eval mode; bytes (n, c, h, w) go through `normalisation` first."""

    net: nn.Module
    normalisation: Normalisation
    config: dict[str, Any]


def net(*overrides: str, seed: int = 0) -> nn.Module:
    """An initialised net: normalised images (n, channels, size, size) to logits (n, classes).

    Overrides are those of `reslab train`; `data=cifar10` gives its channels, size and classes without reading it.
    ValueError for what the command line would refuse.

    >>> plain, residual = net("shortcut=none", "depth=8"), net("shortcut=identity", "depth=8")
    >>> sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in residual.parameters())
    True
    >>> import torch
    >>> residual(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    >>> torch.equal(plain.stem.conv1.weight, residual.stem.conv1.weight)
    True
    """
    words = [*overrides, f"seed={seed}"]
    try:
        return build_net(resolve(*compose("train", words)))
    except Exception as error:
        message = explain(error, "train", words)
        if message is None:
            raise
        raise ValueError(message) from error


def load(run_folder: str | Path, *, trust: Sequence[str] = ()) -> Trained:
    """The trained net of a finished run, strictly loaded.

    `trust` names packages of your own that its config may build from; what the folder itself asks for does not
    count. ValueError for a folder without a finished run.

    >>> trained = load(finished_run)  # a folder such as outputs/runs/<label>/seed=0
    >>> trained.net.training
    False
    """
    file = Path(run_folder) / "checkpoints" / "last.ckpt"
    if not Path(run_folder).is_dir():
        raise ValueError(f"{run_folder} does not exist; run folders are outputs/runs/<label>-<hash>/seed=<n>")
    if not file.exists():
        raise ValueError(
            f"{run_folder} holds no final weights ({file.name}); has the run ended, with checkpoints=final?"
        )
    state = read_checkpoint(file)
    try:
        config = plain(state["config"]) | {"trust": list(trust)}
        weights, norm = state["state_dict"], state["normalisation"]
    except Exception as error:  # whatever it holds
        raise ValueError(f"{file} holds no finished run ({type(error).__name__}: {error})") from error
    try:
        if int(config["depth"]) > DEEPEST:
            raise ValueError(f"depth={config['depth']} is beyond {DEEPEST:,} layers")
        spec = describe(config)
        counts = cost(spec) if spec is not None else None
        if counts is not None and counts.params > file.stat().st_size:
            raise ValueError("its config asks for more weights than it holds")
        loaded = build_net(config | {"intervention": {}})  # its weights follow, and another run may be gone
        loaded.load_state_dict(weights)
        return Trained(loaded.eval(), _normalisation(norm, image(config)), config)
    except Exception as error:  # no key, or not of the kind that it should be
        said = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{file} holds no run that can be built ({type(error).__name__}: {said})") from error


def _normalisation(parts: Mapping[str, torch.Tensor], image: Image) -> Normalisation:
    """ValueError unless it fits the images."""
    mean, std, shape = parts["mean"], parts["std"], (image.channels, image.size, image.size)
    for part in (mean, std):
        if part.dtype != torch.float32 or any(n not in (1, whole) for n, whole in zip(part.shape, shape, strict=True)):
            raise ValueError(f"a normalisation of shape {tuple(part.shape)} does not fit images of shape {shape}")
    return Normalisation(mean, std)


def runs(outputs: str | Path = "outputs", experiment: str | None = None) -> pl.DataFrame:
    """One row per planned run: choices, state, outcome, clean errors (share, 0 to 1), cross-entropy (nats), cost.

    >>> runs(finished_run.parents[2])["outcome"].to_list()  # the folder outputs/
    ['trained']
    """
    return table.runs(Path(outputs).absolute(), experiment)
