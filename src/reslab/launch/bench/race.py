"""A race of contestants that take turns, so that what disturbs the machine disturbs all of them; pure, no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

Turn = Callable[[], float]
"""One turn of a contestant: seconds per step, its own warm-up steps not counted."""


SAID = "bench: "
"""How lines of a worker's log begin that are for the screen."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What everyone trains: the words of a command line, and how long a turn is."""

    words: tuple[str, ...]
    warm: int
    steps: int
    outputs: Path
    device: str = "cpu"
    """Where they train, as torch names it: cpu or cuda:0."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the repeats."""

    middle: float
    low: float
    high: float


def race(turns: Mapping[str, Turn], repeats: int) -> dict[str, list[float]]:
    """Seconds per step of every contestant in every repeat: all in order, then all again, ABC ABC."""
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(repeats):
        for name, turn in turns.items():
            taken[name].append(turn())
    return taken


def spread(values: list[float]) -> Spread:
    """Median and quartiles; with one value, that value three times."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def faster(ours: list[float], theirs: list[float]) -> Spread:
    """How many times as fast `ours` is: the ratio within each repeat, then median and quartiles of these ratios."""
    return spread([other / own for own, other in zip(ours, theirs, strict=True)])


def share(whole: list[float], part: list[float]) -> Spread:
    """(whole - part) / whole within each repeat, what the rest of `whole` costs; then median and quartiles of these."""
    return spread([(all_of_it - some) / all_of_it for all_of_it, some in zip(whole, part, strict=True)])
