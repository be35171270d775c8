"""Plain against residual per seed: pairing, difference in differences, fractions."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.samples import failures, sample
from reslab.analysis import contrasts as module
from reslab.analysis.contrasts import twins
from reslab.analysis.gaps import family
from reslab.analysis.series import Series
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


EIGHT = Study(looks=(8,))
CORNERS = [("none", 20), ("none", 110), ("identity", 20), ("identity", 110)]


def cells_of(dead, n=8, learned=((1.0, 40.0), (6.0, 9.0))):
    """Depths 20 and 110, plain and identity, with errors that differ by seed; `dead`: cells of which no run learned."""
    errors = dict(zip(CORNERS, [error for pair in learned for error in pair], strict=True))
    return {
        key: failures(n) if key in dead else sample(*(error + 0.01 * seed * (1 + error) for seed in range(n)))
        for key, error in errors.items()
    }


@pytest.mark.parametrize("n", [2, 5, 8])
@pytest.mark.parametrize("looks", [(3, 5, 8), (8,)])
def test_nets_that_never_learned_are_not_compared(n, looks):
    """At chance both: exchanging chance for chance gave an interval of no width and 'not better'; gaps say nothing."""
    grid = cells_of({("none", 110), ("identity", 110)}, n)
    found = {made.depth: made for made in contrasts(grid, Study(looks=looks))}
    assert (found[110].difference_points, found[110].verdict) == (0.0, "undecided")
    assert (found[110].lower_points, found[110].upper_points) == (None, None)
    assert found[110].needed.startswith("no run of either net of this depth learned, so there is nothing to compare; ")
    assert (found[110].look is None) == (n < looks[0])
    assert found[20].lower_points is not None


@pytest.mark.parametrize(("dead", "word"), [("none", "better"), ("identity", "not better")])
def test_one_net_that_learned_is_enough_to_compare(dead, word):
    found = {made.depth: made for made in contrasts(cells_of({(dead, 110)}), EIGHT)}
    assert (found[110].verdict, found[110].needed) == (word, "")


def test_one_run_that_learned_is_enough_to_compare():
    """Not all runs at chance: the interval has a width again."""
    grid = {("none", 110): failures(8), ("identity", 110): sample(*[90.0] * 7, 1.0, failed=range(7))}
    (found,) = contrasts(grid, EIGHT)
    assert found.lower_points < found.upper_points
    assert "learned" not in found.needed


@pytest.mark.parametrize("dead", [{key for at, key in enumerate(CORNERS) if mask >> at & 1} for mask in range(16)])
def test_no_rescue_is_told_from_nets_that_never_learned(dead):
    """Every set of dead cells: either gap is one from nets that learned, and of the deep nets some learned, too."""
    grid = cells_of(dead)
    (found,) = rescues(grid, EIGHT, {110})
    shallow, deep = ({key for key in CORNERS if key[1] == depth} for depth in (20, 110))
    if dead & shallow or dead >= deep:
        assert (found.verdict, found.lower_points, found.upper_points) == ("undecided", None, None)
        assert " learned, so there is nothing " in found.needed
    else:
        assert found.verdict == ("does not rescue" if ("identity", 110) in dead else "rescues")
        assert found.needed == ""


def test_a_worse_shallow_net_is_no_rescue_of_nets_that_never_learned():
    """Both deep nets at chance, the shallow one with the shortcut 5 points worse: its gap is the smaller one."""
    grid = cells_of({("none", 110), ("identity", 110)})
    (found,) = rescues(grid, EIGHT, {110})
    assert found.rescue_points > 4
    assert found.verdict == "undecided"


FINE, COARSE = 1 / 60_000, 1 / 100


def equal(error, resolution, n=8):
    """A cell of equal runs: all the spread that it may have is that of rounding to whole images."""
    return Sample(tuple(range(n)), tuple(range(n)), (error,) * n, (False,) * n, resolution)


@pytest.mark.parametrize(("first", "second"), [(FINE, FINE), (FINE, COARSE), (COARSE, FINE)])
def test_equal_runs_keep_the_rounding_of_both_cells(first, second):
    """Two independent roundings, neither finer than the coarser training set; t interval by hand."""
    (found,) = contrasts({("none", 56): equal(0.6, first), ("identity", 56): equal(0.1, second)}, EIGHT)
    half = stats.t.isf(0.025, 7) * max(first, second) / math.sqrt(12) * math.sqrt(2) / math.sqrt(8)
    assert found.lower_points == pytest.approx(100 * (0.5 - half))
    assert found.upper_points == pytest.approx(100 * (0.5 + half))


@pytest.mark.parametrize("coarse", range(4))
def test_equal_runs_keep_the_rounding_of_all_four_cells(coarse):
    """Rescue: four roundings; its share: four over the two of the plain gap, by the definition of Fieller's ends."""
    resolutions = [COARSE if at == coarse else FINE for at in range(4)]
    errors = dict(zip(CORNERS, (0.1, 0.6, 0.05, 0.15), strict=True))
    grid = {key: equal(errors[key], r) for key, r in zip(CORNERS, resolutions, strict=True)}
    (found,) = rescues(grid, EIGHT, {110})
    t, one = stats.t.isf(0.025, 7), COARSE / math.sqrt(12) / math.sqrt(8)
    assert found.upper_points - found.lower_points == pytest.approx(100 * 2 * t * one * math.sqrt(4))
    for share in (found.fraction_lower, found.fraction_upper):
        spread = one * math.sqrt(4 + 2 * share**2)
        assert abs(0.4 - share * 0.5) == pytest.approx(t * spread)
    assert found.fraction_lower < 0.8 < found.fraction_upper


def test_rounding_to_whole_images_spreads_as_it_is_said_to():
    """Drawn: the spread of a contrast of rounded errors, and of a rescue, is that of two and of four roundings."""
    draw = np.random.default_rng(0)
    true = draw.random((4, 20_000))
    errors = np.round(true / COARSE) * COARSE - true
    samples = {key: equal(0.5, COARSE, 2) for key in CORNERS}
    for signs in ({CORNERS[0]: 1, CORNERS[2]: -1}, dict(zip(CORNERS, (-1, 1, 1, -1), strict=True))):
        series = Series.of(samples, signs)
        drawn = sum(sign * errors[CORNERS.index(key)] for key, sign in signs.items())
        assert series.rounding() == pytest.approx(drawn.std(), rel=0.02)
        plain = sum(sign * errors[CORNERS.index(key)] for key, sign in signs.items() if key[0] == "none")
        assert series.rounding(only="none") == pytest.approx(plain.std(), rel=0.02)


@pytest.mark.parametrize("members", [1, 20])
def test_where_all_is_rejected_bounds_are_those_of_one_difference(members):
    """Holm's last step is the whole level of a look: verdicts hold over the family, its bounds do not all at once."""
    draw = np.random.default_rng(0)
    grid = {("none", 56): sample(*draw.normal(50, 0.5, 8))}
    grid |= {(f"s{at}", 56): sample(*draw.normal(47, 0.5, 8)) for at in range(members)}
    found = contrasts(grid, Study())
    assert {made.verdict for made in found} == {"better"}
    assert [made.lower_level for made in found] == pytest.approx([0.025 / 3] * members)
    assert [made.upper_level for made in found] == pytest.approx([0.025 / 3 / members] * members)
