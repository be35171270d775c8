"""What a finished run is called."""

import pytest
from scipy.stats import binomtest

from reslab.training.outcome import ALPHA, outcome


@pytest.mark.parametrize(("n", "classes"), [(297, 10), (1200, 10), (5000, 10), (5000, 100), (64, 2), (64, 4), (3, 2)])
def test_the_boundary_is_that_of_a_one_sided_binomial_test(n, classes):
    chance = (classes - 1) / classes
    expected = []
    errors = range(n + 1) if n < 300 else range(int(n * chance * 0.9), min(n, int(n * chance * 1.02)))
    for wrong in errors:
        significant = binomtest(wrong, n, chance, alternative="less").pvalue < ALPHA
        expected.append("trained" if significant else "at_chance")
    found = [outcome(errors=wrong, n=n, classes=classes, first_bad_step=-1) for wrong in errors]
    assert found == expected
    if n > 6:
        assert found == sorted(found, reverse=True)  # trained below one boundary, at chance above it
        assert len(set(found)) == 2


@pytest.mark.parametrize(
    ("errors", "n", "classes", "expected"),
    [
        (0, 1200, 10, "trained"),
        (1200, 1200, 10, "at_chance"),
        (1080, 1200, 10, "at_chance"),  # exactly nine tenths
        (1079, 1200, 10, "at_chance"),  # below, but by chance
        (900, 1200, 10, "trained"),
        (0, 1, 2, "at_chance"),  # one image proves nothing
        (0, 64, 4, "trained"),
    ],
)
def test_plain_cases(errors, n, classes, expected):
    assert outcome(errors=errors, n=n, classes=classes, first_bad_step=-1) == expected


@pytest.mark.parametrize("step", [0, 1, 63999])
@pytest.mark.parametrize("errors", [0, 100])
def test_diverged_wins(errors, step):
    assert outcome(errors=errors, n=100, classes=10, first_bad_step=step) == "diverged"
