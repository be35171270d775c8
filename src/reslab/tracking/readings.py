"""Which of the probes' readings W&B draws: the scalars of the whole net, flat; layers stay in the run folder."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from reslab.tracking.mirror import Row

TRUNK = "trunk"


def scalars(step: int, probe: str, readings: Iterable[Sequence[Any]]) -> Row:
    """One row for `step`: probes/PROBE/STATISTIC of every finite reading (layer, statistic, value, ...) of the trunk.

    Empty where there is none, so that nothing is logged.
    """
    found = {
        f"probes/{probe}/{statistic}": float(value)
        for layer, statistic, value, *_ in readings
        if layer == TRUNK and value is not None and math.isfinite(value)
    }
    return {"step": step, **found} if found else {}
