"""Every formula against scipy, against an obvious slow version, or worked out by hand."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from reslab.analysis import intervals
from reslab.analysis.intervals import (
    clopper_pearson,
    fieller,
    interval_of_mean,
    interval_of_sd,
    paired,
    permutation,
    seeds_to_permute,
    seeds_to_tell,
    sign_flips,
    superiority,
    welch,
)

rng = np.random.default_rng(0)
PAIRS = [(rng.normal(1, 1, n).tolist(), rng.normal(0, 3, m).tolist()) for n, m in ((3, 3), (5, 3), (8, 8))]


@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_welch_is_scipys(a, b, margin):
    made = welch(a, b, floor=0.0)
    for said, alternative in ((made.above(margin), "greater"), (made.below(margin), "less")):
        assert said == pytest.approx(
            stats.ttest_ind(np.subtract(a, margin), b, equal_var=False, alternative=alternative).pvalue
        )
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (made.lower(0.025), made.upper(0.025)) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [PAIRS[0][0], PAIRS[2][1]])
def test_paired_is_scipys(values):
    made = paired(values, floor=0.0)
    assert made.above(0.2) == pytest.approx(stats.ttest_1samp(values, 0.2, alternative="greater").pvalue)
    assert interval_of_mean(values, floor=0.0) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.95))


@pytest.mark.parametrize(("a", "b"), PAIRS[:2])
@pytest.mark.parametrize("margin", [-1.0, 0.0, 0.7])
def test_permutation_is_counting(a, b, margin):
    """The obvious way: lay every arrangement out and count those at least as extreme."""
    pooled, n = np.concatenate([np.subtract(a, margin), b]), len(a)
    every = [set(chosen) for chosen in combinations(range(len(pooled)), n)]
    differences = [
        np.mean([pooled[i] for i in chosen]) - np.mean([pooled[i] for i in range(len(pooled)) if i not in chosen])
        for chosen in every
    ]
    observed = np.mean(np.subtract(a, margin)) - np.mean(b)
    made = permutation(a, b)
    assert made.above(margin) == pytest.approx(np.mean(np.array(differences) >= observed - 1e-9))
    assert made.below(margin) == pytest.approx(np.mean(np.array(differences) <= observed + 1e-9))


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_sign_flips_are_counting(margin):
    values = rng.normal(0.5, 1, 6).tolist()
    sums = [np.dot(signs, np.subtract(values, margin)) for signs in product((1, -1), repeat=6)]
    made = sign_flips(values)
    assert made.above(margin) == pytest.approx(np.mean(np.array(sums) >= np.sum(np.subtract(values, margin)) - 1e-9))
    assert made.below(margin) == pytest.approx(np.mean(np.array(sums) <= np.sum(np.subtract(values, margin)) + 1e-9))


COMPARISONS = {
    "welch": welch(*PAIRS[1], floor=0.0),
    "paired": paired(PAIRS[2][0], floor=0.0),
    "permutation": permutation(*PAIRS[1]),
    "sign flips": sign_flips(PAIRS[2][0]),
}


@pytest.mark.parametrize("made", COMPARISONS.values(), ids=COMPARISONS)
@pytest.mark.parametrize("level", [0.025, 0.05, 0.1, 0.3])
def test_bounds_invert_the_tests(made, level):
    """What is drawn decides: a margin below the bound is rejected, one above it is not."""
    lower, upper = made.lower(level), made.upper(level)
    assert lower <= made.estimate <= upper
    if math.isfinite(lower):
        assert made.above(lower - 1e-6) <= level < made.above(lower + 1e-6)
        assert made.below(upper + 1e-6) <= level < made.below(upper - 1e-6)
    else:
        assert made.above(-1e9) > level


def test_smallest_p_that_n_can_give():
    """3 against 3 is 1 in 20, whatever the data; no bound at 0.025 then, and one at 0.05."""
    made = permutation([0.9, 0.9, 0.9], [0.0, 0.01, 0.0])
    assert made.smallest == pytest.approx(0.05)
    assert made.above(0.0025) == pytest.approx(0.05)
    assert made.lower(0.025) == -math.inf
    assert made.lower(0.05) > 0.85
    assert [seeds_to_permute(level) for level in (0.05, 0.025, 0.001)] == [3, 4, 7]


def test_permutation_beyond_enumeration_is_close_to_the_exact_one(monkeypatch):
    a, b = rng.normal(1, 1, 8).tolist(), rng.normal(0, 1, 8).tolist()
    exact = permutation(a, b)
    monkeypatch.setattr(intervals, "MOST_ARRANGEMENTS", 5000)
    intervals.arrangements.cache_clear()
    drawn = permutation(a, b)
    intervals.arrangements.cache_clear()
    assert "drawn" in drawn.method
    assert "exact" in exact.method
    assert drawn.above(0.5) == pytest.approx(exact.above(0.5), abs=4 * math.sqrt(0.25 / 5000))


def test_equal_values_keep_the_width_of_rounding():
    """Three times 0 errors of 1,200 images: the spread is that of rounding to one image, and never 0."""
    floor = 1 / (1200 * math.sqrt(12))
    made = welch([0.0] * 3, [0.0] * 3, floor=floor)
    assert made.error == pytest.approx(floor * math.sqrt(2 / 3))
    assert made.freedom == pytest.approx(4)
    assert made.upper(0.025) == pytest.approx(stats.t.isf(0.025, 4) * floor * math.sqrt(2 / 3))


@pytest.mark.parametrize(("failures", "n"), [(0, 3), (1, 5), (8, 8)])
def test_clopper_pearson_is_scipys(failures, n):
    found = stats.binomtest(failures, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(failures, n) == pytest.approx((found.low, found.high))


def test_superiority_by_hand():
    assert superiority([1.0, 2.0], [0.0, 1.0]) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert superiority([3.0], [3.0]) == 0.5


def test_interval_of_sd_by_hand():
    """sd 2 at n = 4: sqrt(3 * 4 / 6.2514) and sqrt(3 * 4 / 0.5844), chi-square quantiles of a printed table."""
    assert interval_of_sd(2.0, 4) == pytest.approx((math.sqrt(12 / 6.2514), math.sqrt(12 / 0.5844)), rel=1e-4)


def test_fieller_solves_its_equation():
    """At both ends the interval of top - ratio * bottom just touches zero: Fieller's definition."""
    bottom = rng.normal(10, 1, 6)
    top = 0.7 * bottom + rng.normal(0, 1, 6)
    low, high = fieller(top.tolist(), bottom.tolist())
    assert low < np.mean(top) / np.mean(bottom) < high
    for ratio in (low, high):
        assert stats.ttest_1samp(top - ratio * bottom, 0).pvalue == pytest.approx(0.05)


def test_fieller_keeps_the_width_of_rounding():
    """Equal numbers do not make a share exact: 1 of 1 with a floor has a width, without one it has none."""
    equal = [0.5, 0.5, 0.5]
    assert fieller(equal, equal) == pytest.approx((1.0, 1.0))
    low, high = fieller(equal, equal, floors=(0.01, 0.01))
    assert low < 1.0 < high


def test_sign_flips_beyond_enumeration_are_close_to_the_exact_ones(monkeypatch):
    values = rng.normal(0.3, 1, 12).tolist()
    exact = sign_flips(values)
    monkeypatch.setattr(intervals, "MOST_ARRANGEMENTS", 3000)
    drawn = sign_flips(values)
    assert "drawn" in drawn.method
    assert drawn.above(0.1) == pytest.approx(exact.above(0.1), abs=4 * math.sqrt(0.25 / 3000))


def test_fieller_is_not_defined_over_nothing():
    assert fieller([1.0, 2.0, 3.0], [-1.0, 0.1, 1.2]) is None
    assert fieller([1.0], [1.0]) is None


def test_seeds_to_tell_is_the_first_n_that_suffices():
    n = seeds_to_tell(1.0, (1.0, 1.0), level=0.025)
    width = [stats.t.isf(0.025, 2 * (k - 1)) * math.sqrt(2 / k) for k in (n - 1, n)]
    assert width[0] >= 1.0 > width[1]
    assert seeds_to_tell(1e-6, (1.0, 1.0), level=0.025) is None
    assert seeds_to_tell(1.0, (2.0, 2.0), level=0.025) > n


@pytest.mark.parametrize("sds", [(1.0, 1.0), (3.0, 1.0), (0.2, 2.0), (1.0, 1e-6)])
@pytest.mark.parametrize("level", [0.025, 0.001])
def test_seeds_to_tell_are_those_of_welchs_freedom(sds, level):
    """Samples with exactly these spreads, one seed more at a time, until scipy's interval is narrow enough."""
    n, confidence = 2, 1 - 2 * level
    while True:
        a, b = (sd * stats.zscore(np.arange(n), ddof=1) for sd in sds)
        low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
        if (high - low) / 2 < 2.0:
            break
        n += 1
    assert seeds_to_tell(2.0, sds, level=level) == n
