"""Which units of a stage activation checkpointing takes together; no torch."""

import math
from itertools import pairwise


def segments(units: int) -> list[range]:
    """Units by number, in order: ceil(sqrt(units)) segments whose lengths differ by one at most; none of no units."""
    number = math.ceil(math.sqrt(units))
    ends = [units * at // number for at in range(number + 1)] if number else [0]
    return [range(start, stop) for start, stop in pairwise(ends)]
