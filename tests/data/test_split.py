"""Seeded, stratified splits."""

import numpy as np
import pytest

from reslab.data.split import stratified

LABELS = np.repeat(np.arange(4), [400, 300, 200, 100])[np.random.default_rng(0).permutation(1000)].astype(np.int64)


def test_classes_keep_their_shares():
    kept, held = stratified(LABELS, 100, 0, "validation")
    assert np.bincount(LABELS[held]).tolist() == [40, 30, 20, 10]
    assert np.bincount(LABELS[kept]).tolist() == [360, 270, 180, 90]


def test_cifar_sized_shares_are_exact():
    labels = np.arange(50000, dtype=np.int64) % 10
    assert set(np.bincount(labels[stratified(labels, 5000, 0, "validation")[1]])) == {500}


@pytest.mark.parametrize("case", range(100))
def test_disjoint_complete_sorted_and_fair(case):
    draw = np.random.default_rng(case)
    labels = draw.integers(0, draw.integers(1, 7), size=draw.integers(1, 61))
    held_out = int(draw.integers(0, len(labels)))
    kept, held = stratified(labels, held_out, 0, "validation")
    assert len(held) == held_out
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert kept.tolist() == sorted(kept)
    assert held.tolist() == sorted(held)
    for label in np.unique(labels):
        share = (labels == label).sum() * held_out / len(labels)
        assert abs((labels[held] == label).sum() - share) < 1


def test_the_largest_remainder_gets_what_is_left():
    labels = np.repeat(np.arange(3), [5, 3, 2]).astype(np.int64)
    held = stratified(labels, 3, 0)[1]  # shares 1.5, 0.9, 0.6
    assert np.bincount(labels[held], minlength=3).tolist() == [1, 1, 1]


def test_the_same_twice_and_another_for_every_name():
    one = stratified(LABELS, 100, 0, "validation")[1]
    assert np.array_equal(one, stratified(LABELS, 100, 0, "validation")[1])
    assert not np.array_equal(one, stratified(LABELS, 100, 1, "validation")[1])
    assert not np.array_equal(one, stratified(LABELS, 100, 0, "evaluation")[1])


def test_a_larger_part_contains_a_smaller_one():
    """Each class takes a prefix of one permutation, so that more validation data means the old ones and more."""
    assert set(stratified(LABELS, 100, 0)[1]) < set(stratified(LABELS, 200, 0)[1])


def test_nothing_held_out():
    kept, held = stratified(LABELS, 0, 0, "validation")
    assert kept.tolist() == list(range(1000))
    assert held.shape == (0,)
    assert held.dtype == np.int64


@pytest.mark.parametrize("held_out", [-1, 1000, 1001])
def test_impossible_numbers_are_refused(held_out):
    with pytest.raises(ValueError, match=f"cannot hold out {held_out} of 1000 images; use 0 to 999"):
        stratified(LABELS, held_out, 0)
