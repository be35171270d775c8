"""What stands beside a gap: test error, log cross-entropy, failure rates. Plain 95 % intervals, corrected for nothing.

They are in no verdict. One of them gives a word: the test gap says whether a depth that does not degrade over-fits.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reslab.analysis.contexts import Context
from reslab.analysis.gaps import DEGRADES, FINE, Gap, compare
from reslab.analysis.intervals import Comparison, clopper_pearson, superiority
from reslab.analysis.study import POINTS, Study
from reslab.analysis.verdict import LEVEL, Key, Sample

BEST_BELOW = 0.01  # cells better than this differ by a few images, where cross-entropy still tells them apart


def beside(gap: Gap, context: Context, study: Study) -> dict[str, Any]:
    """Columns of one gap's row, from the same seeds as the gap itself."""
    deep, shallow = (gap.shortcut, gap.depth), (gap.shortcut, gap.against)
    train, test = context.samples(study), context.test_errors(study)
    row = _three("test", "_points", _compared(test, deep, shallow, gap.n), POINTS)
    row["kind"] = _kind(gap, row["test_lower_points"], study.delta)
    if min(float(np.mean(sample.values)) for sample in train.values()) < BEST_BELOW:
        entropies = context.log_cross_entropies(study)
        row |= _three("log_ce", "", _compared(entropies, deep, shallow, gap.n), 1.0)
    if gap.failures:
        a, b = train[deep].first(gap.n), train[shallow].first(gap.n)
        low, high = clopper_pearson(a.failures, len(a.values))
        row |= {"superiority": superiority(a.values, b.values), "failure_rate_low": low, "failure_rate_high": high}
    return row


def _compared(samples: Mapping[Key, Sample], deep: Key, shallow: Key, n: int) -> Comparison | float | None:
    """A comparison; with one seed the bare difference; None where a cell has nothing."""
    if deep not in samples or shallow not in samples:
        return None
    a, b = samples[deep].first(n), samples[shallow].first(n)
    if min(len(a.values), len(b.values)) < 2:
        return float(np.mean(a.values) - np.mean(b.values))
    return compare(a, b)


def _three(name: str, suffix: str, made: Comparison | float | None, scale: float) -> dict[str, Any]:
    if made is None or isinstance(made, float):
        values: tuple[Any, ...] = (made, None, None)
    else:
        values = (made.estimate, made.lower(LEVEL), made.upper(LEVEL))
    scaled = [None if value is None or not np.isfinite(value) else scale * value for value in values]
    return dict(zip((f"{name}_gap{suffix}", f"{name}_lower{suffix}", f"{name}_upper{suffix}"), scaled, strict=True))


def _kind(gap: Gap, test_lower: float | None, delta: float) -> str:
    """Optimisation failure: training error rises. Over-fitting: it does not, and the test error does.

    The first goes by the verdict, the second by the lower bound of a test gap that no family corrects.
    """
    if gap.verdict == DEGRADES:
        return "optimisation"
    return "over-fitting" if gap.verdict == FINE and test_lower is not None and test_lower > delta else ""
