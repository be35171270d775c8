"""Ranks of matrices whose rank is known, and nets whose units are made to die, or to use one direction."""

from collections.abc import Iterator

import torch
from torch import nn

from reslab.launch.verify.fact import EXACT, Fact, distance, share
from reslab.launch.verify.toy import BATCH_NORM, WIDTH, gauss, plain_net, value
from reslab.probes.rank import effective_rank, ranks
from reslab.probes.units import dead_units

ROY = "Roy and Vetterli 2007"
UNITS, IMAGES = 4, 256
DEAD, FAINT = 128, 64
"""Channels of one layer that are silenced, and that are left so faint that they are dormant but not dead."""
UNIT = "trunk.0.1"


def facts() -> Iterator[Fact]:
    """Every law about a net is one that the untouched net breaks, but for the first."""
    yield from _matrices()
    yield from _dying()
    yield from _one_direction()


def _matrices() -> Iterator[Fact]:
    """Rank of equal directions and of a single one, whatever their scale and turn."""
    draw = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(40, 40, generator=draw, dtype=torch.float64))
    for k in (1, 7, 40):
        matrix = torch.zeros(60, 40, dtype=torch.float64)
        matrix[:k, :k] = 3 * torch.eye(k, dtype=torch.float64)
        effective, stable = ranks(matrix @ turn)
        yield Fact(f"effective rank of {k} equal directions", ROY, k, effective, share(1e-6))
        yield Fact(f"stable rank of {k} equal directions", "by hand", k, stable, share(1e-6))
    one = torch.outer(*(torch.randn(n, generator=draw, dtype=torch.float64) for n in (60, 40)))
    yield Fact("stable rank of a matrix of rank one", "by hand", 1, ranks(one)[1], distance(1e-6))


def _dying() -> Iterator[Fact]:
    """None at initialisation, then a part of one layer, then the whole of it."""
    net, batch = plain_net(UNITS, norm=BATCH_NORM, seed=0), gauss(IMAGES, chunk=128, seed=0)
    before = dead_units(net, batch, bn="train")
    yield Fact("dead units of a BN net at initialisation", "BatchNorm", 0, value(before, "trunk", "dead"), EXACT)
    weight, bias = _norm(net)
    with torch.no_grad():
        weight[: DEAD + FAINT], bias[:DEAD], bias[DEAD : DEAD + FAINT] = 0.0, -1.0, 1e-3
    found = dead_units(net, batch, bn="train")
    layer, whole = f"{UNIT}.after.act1", WIDTH * (UNITS + 1)
    law = "share of all units where a norm silences a quarter of one layer and leaves an eighth faint: dead"
    yield Fact(law, "by hand", DEAD / whole, value(found, "trunk", "dead"), share(1e-9))
    yield Fact("the same, dormant", "by hand", (DEAD + FAINT) / whole, value(found, "trunk", "dormant"), share(1e-9))
    with torch.no_grad():
        weight[:], bias[:] = 1.0, -1e4
    found = dead_units(net, batch, bn="train")
    yield Fact("dead units of a layer whose norm shifts by -10,000", "by hand", 1, value(found, layer, "dead"), EXACT)


def _one_direction() -> Iterator[Fact]:
    """One channel that tells images apart among constant ones, and a convolution that is the identity."""
    net, batch = plain_net(UNITS, norm=BATCH_NORM, seed=0), gauss(IMAGES, chunk=128, seed=0)
    weight, bias = _norm(net)
    convolution = net.get_submodule(f"{UNIT}.branch.conv1")
    assert isinstance(convolution, nn.Conv2d)
    with torch.no_grad():
        weight[1:], bias[1:] = 0.0, 1.0
        nn.init.dirac_(convolution.weight)
    found = effective_rank(net, batch, bn="train")
    for statistic in ("effective_rank", "stable_rank"):
        law = f"{statistic.replace('_', ' ')} of a unit with one channel that is not constant"
        yield Fact(law, "by hand", 1, value(found, UNIT, statistic), distance(1e-6))
    largest = min(IMAGES - 1, WIDTH)
    law = "the same, share of the largest possible"
    yield Fact(law, "by hand", 1 / largest, value(found, UNIT, "rank_share"), share(1e-6))
    measured = value(found, f"{UNIT}.branch.conv1", "weight_effective_rank")
    yield Fact(
        f"effective rank of a convolution that is the identity on {WIDTH} channels", ROY, WIDTH, measured, share(1e-6)
    )


def _norm(net: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    """Scale and shift of the norm before the unit's activation."""
    norm = net.get_submodule(f"{UNIT}.branch.norm1")
    assert isinstance(norm, nn.BatchNorm2d)
    return norm.weight, norm.bias
