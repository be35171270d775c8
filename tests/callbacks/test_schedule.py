"""When things happen: sorted, within the run, complete."""

import itertools

import pytest

from reslab.callbacks.schedule import evenly, every, log_spaced, slices

STEPS = [1, 2, 3, 9, 10, 11, 230, 1755, 64000]


def ascending(steps):
    return all(a < b for a, b in itertools.pairwise(steps)) and all(type(step) is int for step in steps)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("points", [1, 2, 3, 10, 100])
def test_evenly(steps, points):
    found = evenly(steps, points)
    assert ascending(found)
    assert (found[0], found[-1]) == (0, steps)
    assert len(found) == min(points, steps) + 1
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert max(gaps) - min(gaps) <= 2


def test_evenly_by_hand():
    assert evenly(230, 10) == (0, 23, 46, 69, 92, 115, 138, 161, 184, 207, 230)
    assert evenly(4, 1) == (0, 4)


@pytest.mark.parametrize(
    ("steps", "distance", "expected"),
    [(10, 3, (3, 6, 9)), (9, 3, (3, 6)), (3, 3, ()), (2, 3, ()), (4, 1, (1, 2, 3)), (1, 1, ())],
)
def test_every(steps, distance, expected):
    assert every(steps, distance) == expected


@pytest.mark.parametrize("steps", STEPS)
def test_log_spaced(steps):
    found = log_spaced(steps)
    assert ascending(found)
    assert found[-1] == steps
    assert found[0] == 1
    gaps = [b / a for a, b in itertools.pairwise(found)]
    assert all(gap <= 2 for gap in gaps)
    assert len(found) <= 6 * len(str(steps))


def test_log_spaced_by_hand():
    assert log_spaced(100) == (1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 100)
    assert log_spaced(1000) == (1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 130, 200, 300, 500, 800, 1000)


def test_a_longer_run_keeps_the_points_of_a_shorter_one():
    assert set(log_spaced(230)) - {230} <= set(log_spaced(64000))


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("longest", [1, 7, 10, 100_000])
def test_slices(steps, longest):
    scheduled = (evenly(steps, 3), every(steps, 4), log_spaced(steps))
    found = slices(steps, longest, *scheduled)
    assert ascending(found)
    assert found[0] >= 1
    assert found[-1] == steps
    assert set(found) >= {step for at in scheduled for step in at if step > 0}
    assert max(b - a for a, b in itertools.pairwise((0, *found))) <= longest


def test_slices_leave_out_what_is_not_in_the_run():
    assert slices(10, 100, (0, 3, 10, 11), ()) == (3, 10)
    assert slices(5, 100) == (5,)
