"""The share of a gap against slow versions of itself, its limits, and the truth over and over."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from reslab.analysis.fieller import Share, permuted_share
from reslab.analysis.intervals import permutation, welch
from reslab.analysis.removal import Cells
from reslab.analysis.verdict import Sample

rng = np.random.default_rng(7)
FLOOR = 1e-4


def cells(n=5, spread=(2.0, 1.0, 0.5), means=(70.0, 30.0, 1.0)):
    return [rng.normal(mean, sd, n).tolist() for mean, sd in zip(means, spread, strict=True)]


DRAWS = [cells(3), cells(5), cells(8, (10.0, 3.0, 1.0)), cells(5, (8.0, 8.0, 0.1), (70.0, 72.0, 1.0))]


def slow_p(share, deep, changed, shallow):
    """The contrast's t test by the book, for one share: weights, Welch-Satterthwaite, two lines of scipy."""
    weights = ((1 - share), -1.0, share)
    parts = [w**2 * np.var(x, ddof=1) / len(x) for w, x in zip(weights, (deep, changed, shallow), strict=True)]
    freedom = sum(parts) ** 2 / sum(p**2 / (len(x) - 1) for p, x in zip(parts, (deep, changed, shallow), strict=True))
    contrast = sum(w * np.mean(x) for w, x in zip(weights, (deep, changed, shallow), strict=True))
    return stats.t.sf(contrast / math.sqrt(sum(parts)), freedom)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("level", [0.025, 0.002])
def test_bounds_are_those_of_a_grid_of_tests(draw, level):
    """Try every share on a fine grid; the interval runs from the first that is not rejected to the last."""
    made = Share.of(*draw, floor=0.0)
    grid = np.arange(-2, 3, 0.002)
    p = np.array([slow_p(share, *draw) for share in grid])
    low, high = grid[p > level].min(), grid[1 - p > level].max()
    assert made.lower(level) == pytest.approx(low, abs=0.0021)
    assert made.upper(level) == pytest.approx(high, abs=0.0021)
    assert made.above(0.3) == pytest.approx(slow_p(0.3, *draw))
    assert made.below(0.3) == pytest.approx(1 - slow_p(0.3, *draw))


@pytest.mark.parametrize("draw", DRAWS)
def test_at_zero_and_one_it_is_the_welch_test_of_two_cells(draw):
    deep, changed, shallow = draw
    made = Share.of(*draw, floor=FLOOR)
    assert made.above(0.0) == pytest.approx(welch(deep, changed, floor=FLOOR).above(0.0))
    assert made.below(1.0) == pytest.approx(welch(shallow, changed, floor=FLOOR).below(0.0))
    assert made.above(-1e12) == pytest.approx(welch(deep, shallow, floor=FLOOR).above(0.0), rel=1e-3)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("make", [lambda *c: Share.of(*c, floor=0.0), permuted_share])
def test_units_and_origin_do_not_matter(draw, make):
    """Errors in points or shares, all nets worse by a constant: the same share and the same bounds."""
    made, other = make(*draw), make(*[(3.0 + 0.01 * np.array(cell)).tolist() for cell in draw])
    assert other.estimate == pytest.approx(made.estimate)
    for level in (0.025, 0.1):
        assert other.lower(level) == pytest.approx(made.lower(level), abs=1e-7)
        assert other.upper(level) == pytest.approx(made.upper(level), abs=1e-7)


@pytest.mark.parametrize("draw", DRAWS)
def test_what_is_left_is_one_less_what_is_removed(draw):
    """Negate all errors and swap deep with shallow: the share of the same gap that is left; bounds change sides."""
    made = Share.of(*draw, floor=0.0)
    deep, changed, shallow = ((-np.array(cell)).tolist() for cell in draw)
    left = Share.of(shallow, changed, deep, floor=0.0)
    assert left.estimate == pytest.approx(1 - made.estimate)
    assert left.lower(0.025) == pytest.approx(1 - made.upper(0.025), abs=1e-7)
    assert left.upper(0.025) == pytest.approx(1 - made.lower(0.025), abs=1e-7)


@pytest.mark.parametrize("draw", DRAWS)
def test_bounds_invert_the_tests(draw):
    for made in (Share.of(*draw, floor=FLOOR), permuted_share(*draw)):
        for level in (0.11, 0.31):  # between the p-values that permutation can give
            lower, upper = made.lower(level), made.upper(level)
            assert lower <= made.estimate <= upper
            assert made.above(lower - 1e-6) <= level < made.above(lower + 1e-6)
            assert made.below(upper + 1e-6) <= level < made.below(upper - 1e-6)


def test_a_gap_that_may_be_none_leaves_the_share_without_bounds():
    """Never a false interval: at a level at which the gap may be 0 both ends are open, at a lower demand they close."""
    deep, changed, shallow = [2.6, 1.4, 2.2], [1.5, 1.4, 1.6], [1.0, 1.2, 0.8]
    made, p = Share.of(deep, changed, shallow, floor=0.0), welch(deep, shallow, floor=0.0).above(0.0)
    assert 0.025 < p < 0.1
    assert (made.lower(0.025), made.upper(0.025)) == (-math.inf, math.inf)
    assert math.isfinite(made.lower(0.15))
    assert Share.of(shallow, changed, deep, floor=0.0) is None  # no gap, no share


def test_equal_errors_keep_the_width_of_rounding():
    made = Share.of([0.9] * 3, [0.1] * 3, [0.0] * 3, floor=FLOOR)
    assert made.estimate == pytest.approx(8 / 9)
    assert made.lower(0.025) < made.estimate < made.upper(0.025)


def test_independent_cells_share_one_and_the_covariance_counts():
    """If all the noise is in the deep net and the share is 1, that noise cancels: both differences move together."""
    deep = [60.0, 80.0, 70.0, 75.0, 65.0]
    made = Share.of(deep, [1.0, 1.1, 0.9, 1.0, 1.05], [1.0, 1.05, 0.95, 1.1, 1.0], floor=0.0)
    assert made.upper(0.025) - made.lower(0.025) < 0.02


@pytest.mark.parametrize(
    ("n", "spread", "means"),
    [
        (3, (3.0, 3.0, 0.3), (70.0, 40.0, 1.0)),
        (5, (6.0, 2.0, 0.3), (70.0, 10.0, 1.0)),
        (5, (10.0, 10.0, 10.0), (70.0, 75.0, 1.0)),
        (8, (20.0, 5.0, 1.0), (70.0, 40.0, 1.0)),
    ],
)
def test_coverage(n, spread, means):
    """Over 1,500 experiments the true share lies inside at least 94 % of the time, less three standard errors."""
    truth, inside, draws = (means[0] - means[1]) / (means[0] - means[2]), 0, 1500
    for _ in range(draws):
        made = Share.of(*cells(n, spread, means), floor=FLOOR)
        inside += made is not None and made.above(truth) > 0.025 and made.below(truth) > 0.025
    assert inside / draws > 0.94 - 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("margin", [-0.5, 0.0, 0.5, 1.0])
def test_permutation_is_counting(margin):
    """Mix deep and shallow so that the margin would have been removed, and lay out every arrangement."""
    deep, changed, shallow = cells(4)
    mixed = [(1 - margin) * d + margin * s for d, s in zip(deep, shallow, strict=True)]
    pooled = np.array([*mixed, *changed])
    observed = np.mean(mixed) - np.mean(changed)
    every = [list(chosen) for chosen in combinations(range(8), 4)]
    differences = [pooled[c].mean() - np.delete(pooled, c).mean() for c in every]
    made = permuted_share(deep, changed, shallow)
    assert made.above(margin) == pytest.approx(np.mean(np.array(differences) >= observed - 1e-9))
    assert made.below(margin) == pytest.approx(np.mean(np.array(differences) <= observed + 1e-9))
    if margin == 0.0:
        assert made.above(0.0) == pytest.approx(permutation(deep, changed).above(0.0))


def test_permutation_needs_every_deep_net_worse_than_its_twin():
    assert permuted_share([0.9, 0.5], [0.1, 0.1], [0.2, 0.5]) is None


FINE, COARSE = 1 / 60_000, 1 / 100


def equal(error, resolution):
    """Eight equal runs: nothing is known of their spread but that they are rounded to whole images."""
    return Sample(tuple(range(8)), tuple(range(8)), (error,) * 8, (False,) * 8, resolution)


@pytest.mark.parametrize("coarse", range(3))
@pytest.mark.parametrize("level", [0.025, 0.001])
def test_a_share_of_equal_runs_keeps_the_width_of_rounding(coarse, level):
    """Of three cells rounded as the coarsest is; at both ends the contrast is t of its standard error from 0."""
    errors = (0.7, 0.3, 0.1)
    deep, changed, shallow = (equal(e, COARSE if at == coarse else FINE) for at, e in enumerate(errors))
    made = Cells(deep, changed, shallow, None).share()
    one = COARSE**2 / 12 / 8
    for end in (made.lower(level), made.upper(level)):
        weights = np.array([1 - end, -1.0, end])
        parts = weights**2 * one
        freedom = parts.sum() ** 2 / (parts**2 / 7).sum()
        assert abs(weights @ errors) == pytest.approx(stats.t.isf(level, freedom) * math.sqrt(parts.sum()), rel=1e-6)
    assert made.estimate == pytest.approx(2 / 3)
    assert made.lower(level) < made.estimate < made.upper(level)
