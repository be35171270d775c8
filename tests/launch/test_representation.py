"""The laws of dead units and rank hold, and each way to break the probes breaks one of them."""

import pytest
import torch

from reslab.launch.verify import representation
from reslab.probes import rank, units


def failed():
    return [fact.law for fact in representation.facts() if not fact.passed]


def test_the_laws_hold():
    assert failed() == []


RANKS, LOST = rank.ranks, units._lost


def not_centred(matrix):
    return RANKS(matrix + 1.0)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda matrix: (5.0, 1.0), "effective rank of a unit"),
        (lambda matrix: (RANKS(matrix)[0] / 2, RANKS(matrix)[1]), "identity on"),
        (lambda matrix: (RANKS(matrix)[0], RANKS(matrix)[1] ** 0.5 + 1), "stable rank of a unit"),
        (not_centred, "effective rank of a unit"),
    ],
)
def test_a_broken_rank_fails_them(monkeypatch, broken, said):
    monkeypatch.setattr(rank, "ranks", broken)
    assert any(said in law for law in failed())


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda largest, total: (0.0, LOST(largest, total)[1]), "shifts by"),
        (lambda largest, total: (LOST(largest, total)[1],) * 2, "faint: dead"),
        (lambda largest, total: (LOST(largest, total)[0],) * 2, "the same, dormant"),
        (lambda largest, total: (float(len(total)), float(len(total))), "initialisation"),
    ],
)
def test_a_broken_count_of_the_dead_fails_them(monkeypatch, broken, said):
    monkeypatch.setattr(units, "_lost", broken)
    assert any(said in law for law in failed())


def test_the_untouched_net_breaks_the_laws_of_one_direction(monkeypatch):
    """So that none of them holds whatever is measured."""
    spare = [torch.nn.Parameter(torch.ones(representation.WIDTH)) for _ in range(2)]
    monkeypatch.setattr(representation, "_norm", lambda net: spare)
    monkeypatch.setattr(torch.nn.init, "dirac_", lambda weight: weight)
    assert not any(fact.passed for fact in representation._one_direction())
