"""Signal propagation and branch ratios of wide nets of theory, measured by the probes that measure real nets."""

import math
from collections.abc import Iterator
from statistics import fmean

from torch import nn

from reslab.launch.verify import theory
from reslab.launch.verify.fact import Fact, distance, share
from reslab.launch.verify.toy import BATCH_NORM, gauss, plain_net, residual_net, value
from reslab.nets.norm import Absent
from reslab.probes import branches, signal
from reslab.probes.reading import Reading

YANG, SMITH, HE = "Yang et al. 2019, Thm 8", "De and Smith 2020", "He et al. 2015b"
STAGES = (8, 24, 4)
"""Units: until the input is forgotten, where growth is measured, and near the loss."""
CHUNKS = {8: 8, 16: 4, 32: 4, 128: 1, 512: 1}
"""Images in a chunk, and how many chunks."""
UNITS, NO_NORM = 40, 10


def plain_facts() -> Iterator[Fact]:
    """Without shortcuts gradients grow towards the input if there is BatchNorm, and do not if there is none."""
    for images, chunks in CHUNKS.items():
        found = [_plain(images, chunks, seed) for seed in range(3)]
        law = f"plain BN-ReLU, squared gradient per layer, {images} images a batch"
        yield Fact(law, YANG, theory.backward_growth(images), _mean(found, "trunk.1", "backward_growth"), share(0.02))
        if images == 128:
            depth = 16 / math.log(theory.backward_growth(images))
            law = f"plain BN-ReLU, 16 xi, {images} images a batch"
            yield Fact(law, "Yang et al. 2019", depth, 16 * _mean(found, "trunk", "depth_scale"), share(0.05))
    limit = math.pi / (math.pi - 1)
    yield Fact("the same, limit pi / (pi - 1)", YANG, limit, _mean(found, "trunk.1", "backward_growth"), share(0.02))
    yield Fact(
        "plain BN-ReLU, E[h^2] per layer", "BatchNorm", 1, _mean(found, "trunk.1", "forward_growth"), share(1e-3)
    )
    last = f"trunk.1.{STAGES[1] - 1}"
    yield Fact("plain BN-ReLU, E[h^2]", "BatchNorm", 0.5, _mean(found, last, "second_moment"), share(0.02))
    yield from _linear()
    found = [_plain_without_norm(seed) for seed in range(8)]
    for way in ("backward", "forward"):
        law = f"plain He-initialised ReLU, no norm: {'gradient' if way == 'backward' else 'E[h^2]'} per layer"
        yield Fact(law, HE, 1, _mean(found, "trunk.1", f"{way}_growth"), share(0.02))


def residual_facts() -> Iterator[Fact]:
    """Pre-activation residual nets: BatchNorm makes the branch small beside what it is added to (De and Smith 2020)."""
    images, last = 512, f"trunk.0.{UNITS - 1}"
    found = [_residual(UNITS, images, seed) for seed in range(3)]
    for unit in (1, 10, UNITS):
        at, where = f"trunk.0.{unit - 1}", f"after unit {unit}"
        yield Fact(
            f"BN residual, E[x^2] {where}: l + 1", SMITH, unit + 1, _mean(found, at, "second_moment"), share(0.05)
        )
        law = f"BN residual, variance over the batch {where}: 1 + (1 - 1/pi) l"
        yield Fact(law, "by hand", theory.variance(unit), _mean(found, at, "variance"), share(0.05))
        law = f"BN residual, branch / shortcut at unit {unit}, second moments: 1 / l"
        yield Fact(law, SMITH, 1 / unit, _mean(found, at, "second_moment_ratio"), share(0.05))
        ratio = theory.SPREAD / theory.variance(unit - 1)
        law = f"BN residual, branch / shortcut at unit {unit}, variances"
        yield Fact(law, "by hand", ratio, _mean(found, at, "variance_ratio"), share(0.05))
        if unit < UNITS:
            squares = [(value(one, at, "gradient_norm") / value(one, last, "gradient_norm")) ** 2 for one in found]
            law = f"BN residual, squared gradient at unit {unit} / unit {UNITS}"
            yield Fact(law, "by hand", theory.gradient_growth(unit, UNITS), fmean(squares), share(0.1))
    found = [_residual(NO_NORM, 256, seed, norm=False) for seed in range(6)]
    for unit in (1, 5, NO_NORM):
        at = f"trunk.0.{unit - 1}"
        law = f"residual without norm, E[x^2] after unit {unit}: 2^l"
        yield Fact(law, "by hand", 2**unit, _mean(found, at, "second_moment"), share(0.1))
        law = f"residual without norm, branch / shortcut at unit {unit}"
        yield Fact(law, SMITH, 1, _mean(found, at, "second_moment_ratio"), share(0.1))


def _linear() -> Iterator[Fact]:
    for images in (8, 16):
        found = []
        for seed in range(3):
            net = plain_net(*STAGES, norm=BATCH_NORM, act=nn.Identity, seed=seed)
            batch = gauss(images * CHUNKS[images], chunk=images, seed=seed)
            found.append(signal.signal_propagation(net, batch, bn="train"))
        law = f"plain linear BN, squared gradient per layer, {images} images a batch"
        yield Fact(law, "Yang et al. 2019", theory.linear_growth(images), _growth(found), share(0.02))
    yield Fact(
        "variance of a channel after BatchNorm", "BatchNorm", 1, _mean(found, "trunk.1.0", "variance"), share(1e-3)
    )
    squared = _mean(found, "trunk.1.0", "squared_mean")
    yield Fact("squared mean of a channel after BatchNorm", "BatchNorm", 0, squared, distance(1e-6))


def _plain(images: int, chunks: int, seed: int) -> list[Reading]:
    net = plain_net(*STAGES, norm=BATCH_NORM, seed=seed)
    return signal.signal_propagation(net, gauss(images * chunks, chunk=images, seed=seed), bn="train")


def _plain_without_norm(seed: int) -> list[Reading]:
    net = plain_net(*STAGES, norm=Absent(), seed=seed)
    return signal.signal_propagation(net, gauss(128, chunk=128, seed=seed), bn="train")


def _residual(units: int, images: int, seed: int, *, norm: bool = True) -> list[Reading]:
    net, batch = (
        residual_net(units, norm=BATCH_NORM if norm else Absent(), seed=seed),
        gauss(images, chunk=images, seed=seed),
    )
    return signal.signal_propagation(net, batch, bn="train") + branches.branch_ratio(net, batch, bn="train")


def _growth(found: list[list[Reading]]) -> float:
    return _mean(found, "trunk.1", "backward_growth")


def _mean(found: list[list[Reading]], layer: str, statistic: str) -> float:
    return fmean(value(one, layer, statistic) for one in found)
