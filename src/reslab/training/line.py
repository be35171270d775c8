"""The straight line between two nets of one shape: weights in between, and the barrier that a path must cross."""

import copy
from collections.abc import Sequence

import torch
from torch import nn


@torch.no_grad()
def between(start: nn.Module, end: nn.Module, share: float) -> nn.Module:
    """A copy of `start` whose parameters are (1 - share) start + share end; its BatchNorm statistics mean nothing."""
    made = copy.deepcopy(start)
    for mine, theirs in zip(made.parameters(), end.parameters(), strict=True):
        mine.lerp_(theirs, share)
    return made


def barrier(shares: Sequence[float], losses: Sequence[float]) -> float:
    """max over the line of L(a) - (1 - a) L(0) - a L(1) (Frankle et al. 2020): how far it bulges above its chord.

    `shares` go from 0 to 1. Nothing is above the chord at its ends, so that it is never negative.
    """
    first, last = losses[0], losses[-1]
    return max(loss - (1 - share) * first - share * last for share, loss in zip(shares, losses, strict=True))
