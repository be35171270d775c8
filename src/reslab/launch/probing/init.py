"""Signal propagation and branch ratios of a grid of nets at initialisation: no training, no data."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from rich.console import Console
from scipy.special import ndtri
from torch.nn import functional as F

from reslab import streams
from reslab.launch.build import build_net
from reslab.launch.probing.grid import AXES, Point
from reslab.launch.probing.pace import Pace
from reslab.launch.probing.threads import every_core
from reslab.probes.branches import branch_ratio
from reslab.probes.reading import ProbeBatch
from reslab.probes.signal import signal_propagation

PROBES = {"signal_propagation/train": signal_propagation, "branch_ratio/train": branch_ratio}
SCHEMA = {"depth": pl.Int64, **dict.fromkeys(("shortcut", "order", "norm"), pl.String), "seed": pl.Int64} | {
    **dict.fromkeys(("probe", "layer", "statistic"), pl.String),
    **dict.fromkeys(("value", "error"), pl.Float64),
}
COARSE = 2  # pixels between two independent values of a smooth random image


def measure(points: Sequence[Point], images: int, out: Console) -> pl.DataFrame:
    """Readings of every net, columns SCHEMA; uses all cores, restores the number of threads."""
    rows: list[tuple[object, ...]] = []
    with every_core(), Pace(out, sum(point.macs for point in points), f"{len(points)} nets") as pace:
        for point in points:
            rows += _of_net(point, images)
            pace.step(point.macs, " ".join(f"{axis}={point.place[axis]}" for axis in AXES))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _of_net(point: Point, images: int) -> list[tuple[object, ...]]:
    image = point.config["data"]
    batch = smooth_images(images, image["channels"], image["size"], classes=image["classes"], seed=point.place["seed"])
    net = build_net(point.config)
    place = [point.place[axis] for axis in AXES]
    return [(*place, name, *row) for name, probe in PROBES.items() for row in probe(net, batch, bn="train")]


def smooth_images(n: int, channels: int, size: int, *, classes: int, seed: int) -> ProbeBatch:
    """`n` images in one chunk: Gaussian noise on a grid of COARSE pixels, bicubic between, each channel standardised.

    Labels are drawn alike. The same images for every net of a seed.
    """
    side = max(size // COARSE, 1)
    noise = ndtri(streams.uniform(n * channels * side * side, seed, "probe", "images")).astype(np.float32)
    coarse = torch.from_numpy(noise).view(n, channels, side, side)
    smooth = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
    variance, mean = torch.var_mean(smooth, dim=(0, 2, 3), correction=0, keepdim=True)
    labels = streams.below(classes, streams.bits(n, seed, "probe", "labels"))
    return ProbeBatch((smooth - mean) / variance.sqrt(), torch.from_numpy(labels), n)
