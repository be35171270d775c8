"""What a finished run is called: trained, at chance, diverged."""

from scipy.stats import binom

ALPHA = 0.01


def outcome(*, errors: int, n: int, classes: int, first_bad_step: int) -> str:
    """Diverged: a loss was not finite. At chance: clean training errors are not below (K-1)/K, one-sided binomial."""
    if first_bad_step >= 0:
        return "diverged"
    return "trained" if binom.cdf(errors, n, (classes - 1) / classes) < ALPHA else "at_chance"
