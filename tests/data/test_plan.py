"""The data plan: a pure function of seed and step."""

import hashlib

import numpy as np
import pytest

from reslab.data.plan import Plan

BASE = {"rows": 100, "batch": 16, "pad": 4, "flip": True, "order_seed": 0, "augment_seed": 0}


def make(**changes):
    return Plan(**BASE | changes)


def digest(epoch):
    whole = hashlib.sha256()
    for values, kind in zip(epoch, ("<i8", "<i8", "<i8", "u1"), strict=True):
        whole.update(np.ascontiguousarray(values, dtype=kind).tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("number", [0, 1, 2, 1000])
def test_every_epoch_is_a_permutation(number):
    order = make().epoch(number).order
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))


def test_epochs_differ():
    plan = make()
    assert len({tuple(plan.epoch(number).order) for number in range(20)}) == 20
    for name in ("dy", "dx", "flip"):
        assert len({tuple(getattr(plan.epoch(number), name)) for number in range(20)}) == 20


def test_vertical_and_horizontal_offsets_and_flips_are_drawn_apart():
    epoch = make(rows=5000).epoch(0)
    for one, other in (("dy", "dx"), ("dy", "flip"), ("dx", "flip"), ("dy", "order"), ("dx", "order")):
        correlation = np.corrcoef(getattr(epoch, one), getattr(epoch, other).astype(float))[0, 1]
        assert abs(correlation) < 0.06, (one, other)


def test_only_full_batches_and_the_dropped_tail_differs_between_epochs():
    plan = make()
    assert plan.steps_per_epoch == 6
    tails = set()
    for number in range(10):
        used = []
        for step in range(number * 6, number * 6 + 6):
            at, rows = plan.locate(step)
            assert at == number
            chosen = plan.epoch(at).order[rows]
            assert len(chosen) == 16
            used += chosen.tolist()
        assert len(set(used)) == 96
        tails.add(tuple(sorted(set(range(100)) - set(used))))
    assert len(tails) == 10


@pytest.mark.parametrize(
    ("step", "number", "start"), [(0, 0, 0), (1, 0, 16), (5, 0, 80), (6, 1, 0), (7, 1, 16), (6_000_005, 1_000_000, 80)]
)
def test_locate(step, number, start):
    assert make().locate(step) == (number, slice(start, start + 16))


def test_a_batch_as_large_as_the_training_split():
    plan = make(batch=100)
    assert plan.steps_per_epoch == 1
    assert plan.locate(3) == (3, slice(0, 100))


def test_an_epoch_needs_no_other():
    far = digest(make().epoch(7))
    plan = make()
    assert [digest(plan.epoch(number)) for number in (3, 0, 9, 7, 1)][3] == far


def test_batch_size_moves_no_draw():
    for one, other in zip(make(batch=16).epoch(2), make(batch=5).epoch(2), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("pad", [0, 1, 3, 4])
def test_offsets_cover_all_windows_uniformly(pad):
    epoch = make(rows=20000, batch=1, pad=pad).epoch(0)
    moves = 2 * pad + 1
    for offsets in (epoch.dy, epoch.dx):
        counts = np.bincount(offsets, minlength=moves)
        assert len(counts) == moves  # nothing beyond 2 * pad
        expected = 20000 / moves
        assert ((counts - expected) ** 2 / expected).sum() < 30  # chi-squared of 8 degrees of freedom: p = 0.0002


def test_about_half_are_flipped_and_none_without_flip():
    assert abs(make(rows=20000).epoch(0).flip.mean() - 0.5) < 0.015
    still = make(flip=False).epoch(0)
    assert still.flip.dtype == bool
    assert not still.flip.any()


def test_order_and_augmentation_follow_their_own_seeds():
    base, other_order, other_augment = (make(**s).epoch(0) for s in ({}, {"order_seed": 1}, {"augment_seed": 1}))
    assert np.array_equal(base.order, other_augment.order)
    assert not np.array_equal(base.order, other_order.order)
    for name in ("dy", "dx", "flip"):
        assert np.array_equal(getattr(base, name), getattr(other_order, name))
        assert not np.array_equal(getattr(base, name), getattr(other_augment, name))


def test_switching_augmentation_off_leaves_the_order_alone():
    assert np.array_equal(make().epoch(1).order, make(pad=0, flip=False).epoch(1).order)


def test_golden_epoch():
    """He 2015's epoch 0; it must never change, on no machine, or runs cannot be compared across versions."""
    plan = make(rows=45000, batch=128)
    assert digest(plan.epoch(0)) == "f4d8ad6a594e6d4078a819307a536455bb7dd574e66f3eeb3c99d76bf259088d"
    assert plan.epoch(0).order[:5].tolist() == [38572, 5000, 27151, 1725, 27315]


@pytest.mark.parametrize(("batch", "rows"), [(101, 100), (1, 0), (0, 100), (-1, 100)])
def test_a_batch_that_cannot_be_filled_is_refused(batch, rows):
    with pytest.raises(ValueError, match=rf"recipe\.batch={batch} cannot be filled from {rows} training images"):
        make(batch=batch, rows=rows)
