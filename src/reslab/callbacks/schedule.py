"""When: pure functions to sorted tuples of optimiser steps (the number of steps done, 0 to `steps`)."""

from collections.abc import Sequence


def evenly(steps: int, points: int) -> tuple[int, ...]:
    """0, then `points` steps at equal distances, the last one the end."""
    points = min(points, steps)
    return tuple(sorted({0, *(round(steps * at / points) for at in range(1, points + 1))}))


def every(steps: int, distance: int) -> tuple[int, ...]:
    """Multiples of `distance` below `steps`."""
    return tuple(range(distance, steps, distance))


def log_spaced(steps: int) -> tuple[int, ...]:
    """1, 2, 3, 5, 8, 13, 20, 30, 50, 80, ... and the end."""
    found, decade = {1, 2, 3, 5, 8, 13, steps}, 10
    while decade < steps:
        found |= {decade * at // 10 for at in (20, 30, 50, 80, 130)}
        decade *= 10
    return tuple(sorted(step for step in found if step <= steps))


def slices(steps: int, longest: int, *scheduled: tuple[int, ...]) -> tuple[int, ...]:
    """Where slices end: at every scheduled step, at least every `longest` steps, and at the end."""
    return tuple(sorted({steps, *every(steps, longest), *(s for at in scheduled for s in at if 0 < s <= steps)}))


def chosen(at: Sequence[int], steps: int) -> tuple[int, ...]:
    """The steps named, or 0 and `log_spaced` where none are; ValueError for one that is not within the budget."""
    wrong = [step for step in at if not 0 <= step <= steps]
    if wrong:
        raise ValueError(f"probes.at has step {wrong[0]}, which is not within 0 to {steps}; {steps} is the end")
    return tuple(sorted(set(at))) or (0, *log_spaced(steps))
