"""The line between two nets, and the barrier on it."""

import pytest
import torch
from torch import nn

from reslab.training.line import barrier, between


def test_the_ends_and_the_middle():
    start, end = nn.Linear(3, 2), nn.Linear(3, 2)
    kept = start.weight.clone()
    for share in (0.0, 0.25, 1.0):
        made = between(start, end, share)
        assert torch.allclose(made.weight, (1 - share) * start.weight + share * end.weight, atol=1e-7)
        assert torch.allclose(made.bias, (1 - share) * start.bias + share * end.bias, atol=1e-7)
    assert torch.equal(start.weight, kept)


def test_no_barrier_on_a_straight_or_hanging_line():
    shares = [0.0, 0.25, 0.5, 1.0]
    assert barrier(shares, [2.0, 1.75, 1.5, 1.0]) == pytest.approx(0)
    assert barrier(shares, [2.0, 0.1, 0.2, 1.0]) == 0


def test_the_height_above_the_chord():
    assert barrier([0.0, 0.5, 1.0], [1.0, 5.0, 3.0]) == pytest.approx(3.0)
