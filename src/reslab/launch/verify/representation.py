"""Ranks of matrices whose rank is known, and dead units of nets that have none, or nothing else."""

from collections.abc import Iterator

import torch
from torch import nn

from reslab.launch.verify.fact import BELOW, EXACT, Fact, distance, share
from reslab.launch.verify.toy import BATCH_NORM, WIDTH, gauss, plain_net, value
from reslab.probes.rank import effective_rank, ranks
from reslab.probes.units import dead_units

ROY = "Roy and Vetterli 2007"
UNITS, DEAD = 4, 128
"""Units of the net, and channels of its second that are silenced."""


def facts() -> Iterator[Fact]:
    """Rank of the identity and of one direction, whatever their scale and turn; dead channels by construction."""
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
    net, batch = plain_net(UNITS, norm=BATCH_NORM, seed=0), gauss(256, chunk=128, seed=0)
    before = dead_units(net, batch, bn="train")
    yield Fact("dead units of a BN net at initialisation", "BatchNorm", 0, value(before, "trunk", "dead"), EXACT)
    norm = net.get_submodule("trunk.0.1.branch.norm1")
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        norm.weight[:DEAD], norm.bias[:DEAD] = 0.0, -1.0
    lost = value(dead_units(net, batch, bn="train"), "trunk", "dead")
    law = "dead units, share of all, where a norm silences a quarter of one layer"
    yield Fact(law, "by hand", DEAD / (WIDTH * (UNITS + 1)), lost, share(1e-9))
    rank = value(effective_rank(net, batch, bn="train"), "trunk.0.1", "effective_rank")
    yield Fact("effective rank of that layer, below what is alive", "by hand", WIDTH - DEAD, rank, BELOW)
