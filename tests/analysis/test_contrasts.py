"""Plain against residual per seed: pairing, difference in differences, fractions."""

import numpy as np
import pytest
from scipy import stats

from analysis.samples import failures, sample
from reslab.analysis import contrasts as module
from reslab.analysis.contrasts import twins
from reslab.analysis.gaps import family
from reslab.analysis.study import Study
from reslab.analysis.verdict import Sample

ONE = Study(looks=(3,))


def contrasts(samples, study):
    return module.contrasts(samples, study, family(samples, study))


def rescues(samples, study, degraded):
    return module.rescues(samples, study, family(samples, study), degraded)


GRID = {
    ("none", 20): sample(1.0, 1.4, 1.1),
    ("none", 56): sample(60.0, 65.0, 61.0),
    ("identity", 20): sample(0.5, 0.6, 0.9),
    ("identity", 56): sample(1.0, 0.7, 1.3),
}


def test_rescue_by_hand():
    """One number a seed: (60 - 1) - (1 - 0.5) and so on; a t interval with two degrees of freedom."""
    numbers = np.array([(60 - 1) - (1 - 0.5), (65 - 1.4) - (0.7 - 0.6), (61 - 1.1) - (1.3 - 0.9)])
    (found,) = rescues(GRID, ONE, {56})
    assert found.rescue_points == pytest.approx(numbers.mean())
    assert (found.lower_points, found.upper_points) == pytest.approx(
        stats.ttest_1samp(numbers, 0).confidence_interval()
    )
    assert (found.verdict, found.reference, found.depth) == ("rescues", 20, 56)
    gaps = np.array([59.0, 63.6, 59.9])
    assert found.fraction == pytest.approx(numbers.mean() / gaps.mean())
    assert found.fraction_lower < found.fraction < found.fraction_upper


def test_contrast_by_hand():
    """Depth 56 alone, so that no family widens it: a plain t interval of the three differences."""
    (found,) = contrasts({key: value for key, value in GRID.items() if key[1] == 56}, ONE)
    numbers = np.array([59.0, 64.3, 59.7])
    assert found.difference_points == pytest.approx(numbers.mean())
    assert (found.lower_points, found.upper_points) == pytest.approx(
        stats.ttest_1samp(numbers, 0).confidence_interval()
    )
    assert found.verdict == "better"


def test_fraction_is_not_defined_without_a_plain_gap():
    flat = GRID | {("none", 56): sample(1.0, 1.5, 1.0)}
    (found,) = rescues(flat, ONE, {56})
    assert found.fraction is None
    assert found.fraction_lower is None


def test_pairing_gains_where_twins_go_together_and_only_there():
    rng = np.random.default_rng(0)
    common = rng.normal(10, 1, 8)
    alike = twins(sample(*(common + rng.normal(0, 0.1, 8))), sample(*(common + rng.normal(0, 0.1, 8))))
    apart = twins(sample(*common), sample(*rng.normal(10, 1, 8)))
    assert alike[0] > 0.9
    assert alike[1] > 2
    assert abs(apart[0]) < 0.8
    assert apart[1] < alike[1]


def test_pairs_are_found_by_seed_not_by_place():
    """Seeds 0, 2 and 3 of one cell, 0, 1 and 3 of the other: the common ones are 0 and 3."""
    a = Sample((0, 2, 3), (0, 2, 3), (0.1, 0.9, 0.4), (False,) * 3, 1e-3)
    b = Sample((0, 1, 3), (0, 1, 3), (0.0, 0.7, 0.1), (False,) * 3, 1e-3)
    (found,) = contrasts({("none", 56): a, ("identity", 56): b}, Study(looks=(2,)))
    assert found.n == 2
    assert found.difference_points == pytest.approx(20.0)


def test_failures_of_one_depth_are_permuted():
    (found,) = contrasts({("none", 110): failures(3), ("identity", 110): sample(1.0, 1.0, 1.1)}, ONE)
    assert found.method == "exact permutation"
    assert found.lower_points is None
    assert found.verdict == "undecided"
    assert "p = 0.05 is the smallest n = 3 can give" in found.needed
    many = {("none", 110): failures(5), ("identity", 110): sample(*[1.0] * 5)}
    (found,) = contrasts(many, Study(looks=(5,)))
    assert found.verdict == "better"


def test_failures_of_a_rescue_flip_signs_and_few_seeds_can_say_nothing():
    grid = {("none", 20): sample(*[1.0] * 5), ("none", 110): failures(5)}
    grid |= {("identity", 20): sample(*[1.0] * 5), ("identity", 110): sample(*[1.0] * 5)}
    (found,) = rescues(grid, Study(looks=(5,)), {110})
    assert found.method == "exact sign flips"
    assert found.verdict == "undecided"
    assert "p = 0.031 is the smallest n = 5 can give and 0.025 is needed" in found.needed


def test_a_later_failure_leaves_an_earlier_look_alone():
    """Decided at n = 3; a fourth seed fails, and there is no look at 4."""
    study = Study(looks=(3, 5))
    more = {key: sample(*(100 * v for v in value.values), value.values[0]) for key, value in GRID.items()}
    more["none", 56] = sample(60.0, 65.0, 61.0, 0.0, failed=(3,))
    (before,), (after,) = rescues(GRID, study, {56}), rescues(more, study, {56})
    assert (after.verdict, after.lower_points, after.method) == (before.verdict, before.lower_points, before.method)


def test_the_family_does_not_depend_on_what_has_arrived():
    """Declared and not yet run: it counts from the beginning, and what arrives later narrows or widens nothing."""
    study = Study(looks=(3,), shortcuts=("none", "identity", "projection"), depths=(20, 56))
    (before,) = rescues(GRID, study, {56})
    more = GRID | {("projection", depth): sample(30.0, 1.0, 60.0) for depth in (20, 56)}
    after = next(found for found in rescues(more, study, {56}) if found.shortcut == "identity")
    assert after.lower_points == before.lower_points
    beside = more | {("other", depth): sample(1.0, 1.0, 1.0) for depth in (20, 56)}
    assert {found.shortcut for found in rescues(beside, study, {56})} == {"identity", "projection"}


def test_only_plain_or_only_residual_gives_nothing():
    assert contrasts({("identity", 20): sample(1.0, 1.0, 1.0)}, ONE) == []
    assert rescues({key: value for key, value in GRID.items() if key[0] == "none"}, ONE, {56}) == []


def test_nothing_is_rescued_where_no_gap_is_established():
    (found,) = rescues(GRID, ONE, set())
    assert found.lower_points > 0.25
    assert (found.verdict, found.fraction) == ("undecided", None)


def test_no_share_of_a_gap_of_failed_runs():
    """Both arms at chance: any share would be an artefact of counting them all alike."""
    (found,) = rescues(GRID | {("none", 56): failures(3), ("identity", 56): failures(3)}, ONE, {56})
    assert (found.fraction, found.fraction_lower, found.fraction_upper) == (None, None, None)
