"""For notebooks: nets, trained runs and tables from the same configs as the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch
from torch import nn

from reslab.analysis import table
from reslab.data.normalise import Normalisation
from reslab.launch.build import build_net
from reslab.launch.compose import compose
from reslab.launch.errors import explain
from reslab.launch.freeze import resolve


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
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
        config = state["config"] | {"trust": list(trust)}
    except Exception as error:  # a torn file can raise anything
        raise ValueError(f"{file} cannot be read ({type(error).__name__}); run the same command again") from error
    loaded = build_net(config)
    loaded.load_state_dict(state["state_dict"])
    mean, std = (state["normalisation"][name] for name in ("mean", "std"))
    return Trained(loaded.eval(), Normalisation(mean, std), config)


def runs(outputs: str | Path = "outputs", experiment: str | None = None) -> pl.DataFrame:
    """One row per planned run: choices, state, outcome, clean errors (share, 0 to 1), cross-entropy (nats), cost.

    >>> runs(finished_run.parents[2])["outcome"].to_list()  # the folder outputs/
    ['trained']
    """
    return table.runs(Path(outputs).absolute(), experiment)
