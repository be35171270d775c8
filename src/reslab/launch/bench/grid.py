"""Runs for a benchmark of the machinery: a grid of real configs, of any size."""

import math
from itertools import product
from pathlib import Path

from reslab.launch.compose import composer
from reslab.launch.freeze import Job
from reslab.launch.local import freeze_all

SHORTCUTS, DEPTHS, SEEDS = ("none", "identity"), range(8, 63, 6), 10
NETS = len(SHORTCUTS) * len(DEPTHS)


def axes(runs: int) -> dict[str, str]:
    """What is swept: 20 nets, up to 10 seeds, then learning rates, rounded up to a whole grid of at least `runs`."""
    seeds = min(SEEDS, math.ceil(runs / NETS))
    rates = range(1, math.ceil(runs / NETS / seeds) + 1)
    found = {"shortcut": SHORTCUTS, "depth": DEPTHS, "recipe.lr": [f"{0.001 * n:.3f}" for n in rates]}
    return {key: ",".join(map(str, values)) for key, values in (found | {"seed": range(seeds)}).items()}


def fixed(outputs: Path) -> list[str]:
    """What is not swept."""
    return ["tracking=disabled", "trainer=cpu", f"outputs={outputs}"]


def words(runs: int, outputs: Path) -> list[str]:
    """The grid on a command line."""
    return ["-m", *(f"{key}={values}" for key, values in axes(runs).items()), *fixed(outputs)]


def jobs(runs: int, outputs: Path) -> list[Job]:
    """Composed, checked and identified as `reslab train` does it."""
    swept = [[f"{key}={value}" for value in values.split(",")] for key, values in axes(runs).items()]
    points = [(*fixed(outputs), *point) for point in product(*swept)]
    with composer("train") as one:
        return freeze_all(one, points)
