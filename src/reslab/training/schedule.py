"""The learning rate: one pure function of the optimiser step."""

import math
from collections.abc import Callable, Sequence

Factor = Callable[[int, int], float]


def constant(step: int, steps: int) -> float:
    """Always 1."""
    return 1.0


def milestones(step: int, steps: int, *, at: Sequence[float], factors: Sequence[float]) -> float:
    """From each share of the budget on (He 2015: 1/2 and 3/4 of 64k), the factor beside it."""
    value = 1.0
    for share, factor in zip(at, factors, strict=True):
        if step >= share * steps - 1e-6:  # 0.405 * 312400 is 126522.00000000001
            value = factor
    return value


def one_cycle(step: int, steps: int, *, peak: float, start: float) -> float:
    """Linear from `start` to 1 at the share `peak` of the budget, then a half cosine down to 0 (after Smith 2018)."""
    top = peak * steps
    if step < top:
        return start + (1 - start) * step / top
    return 0.5 * (1 + math.cos(math.pi * (step - top) / max(steps - top, 1)))


def factor(step: int, *, steps: int, shape: Factor, warmup: int, warmup_factor: float) -> float:
    """What the base rate is multiplied by at this step; the first `warmup` steps run at `warmup_factor`."""
    return warmup_factor if step < warmup else shape(step, steps)
