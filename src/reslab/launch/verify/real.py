"""The nets of He 2015 that laws are measured on, and images for them that need no file."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from reslab.launch.build import build_net
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve
from reslab.launch.probing.init import smooth_images
from reslab.probes.reading import ProbeBatch

LETTERS = {"identity": "A", "projection": "B", "projection_all": "C"}


def config(shortcut: str, depth: int, *words: str, seed: int = 0) -> dict[str, Any]:
    """The resolved config of a net for CIFAR; `words` as on the command line."""
    made = _composed((f"shortcut={shortcut}", *words))
    return made | {"depth": depth, "seed": seed, "seeds": dict.fromkeys(made["seeds"], seed)}


def real_net(shortcut: str, depth: int, *words: str, seed: int = 0) -> nn.Module:
    """The same net, initialised."""
    return build_net(config(shortcut, depth, *words, seed=seed))


def name(shortcut: str, depth: int) -> str:
    """plain-20, ResNet-56-A."""
    return f"plain-{depth}" if shortcut == "none" else f"ResNet-{depth}-{LETTERS[shortcut]}"


def smooth(images: int, *, seed: int) -> ProbeBatch:
    """Smooth random images of 3 x 32 x 32 pixels with labels of ten classes, in one chunk."""
    return smooth_images(images, 3, 32, classes=10, seed=seed)


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive numbers."""
    return float(torch.tensor(values, dtype=torch.float64).log().mean().exp())


@cache
def _composed(words: tuple[str, ...]) -> dict[str, Any]:
    return resolve(*compose("train", ["data=cifar10", *words]))
