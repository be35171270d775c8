"""A fact: what a law says, what this installation measures, how far apart they may be."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from reslab.report.tables_verify import number


@dataclass(frozen=True)
class Tolerance:
    """How far a measured number may lie from the expected one."""

    kind: Literal["exact", "share", "distance", "factor", "above", "below"]
    size: float | int = 0.0

    def holds(self, expected: float | int, measured: float | int) -> bool:
        """Whether it lies near enough; nothing is near a number that is not finite."""
        if not math.isfinite(measured):
            return False
        match self.kind:
            case "exact":
                return measured == expected
            case "share":
                return abs(measured - expected) <= self.size * abs(expected)
            case "distance":
                return abs(measured - expected) <= self.size
            case "factor":
                return measured > 0 and expected / self.size <= measured <= expected * self.size
            case "above":
                return measured > expected
            case "below":
                return measured < expected

    def __str__(self) -> str:
        """In words."""
        words = {"share": f"{100 * self.size:g} %", "distance": f"{self.size:g}", "factor": f"factor {self.size:g}"}
        return words.get(self.kind, self.kind)


EXACT, ABOVE, BELOW = Tolerance("exact"), Tolerance("above"), Tolerance("below")


def share(size: float | int) -> Tolerance:
    """Relative to the expected number."""
    return Tolerance("share", size)


def distance(size: float | int) -> Tolerance:
    """In the unit of the number."""
    return Tolerance("distance", size)


def factor(size: float | int) -> Tolerance:
    """Up to so many times smaller or larger."""
    return Tolerance("factor", size)


@dataclass(frozen=True)
class Fact:
    """One law at one point; `source` says who found it, or that it is counted by hand."""

    law: str
    source: str
    expected: float | int
    measured: float | int
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether the law holds here."""
        return self.tolerance.holds(self.expected, self.measured)

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Law, source, expected, measured, tolerance, answer; as they are read."""
        expected, measured = (number(value) for value in (self.expected, self.measured))
        return self.law, self.source, expected, measured, str(self.tolerance), "yes" if self.passed else "NO"

    def record(self) -> dict[str, Any]:
        """For programs; a number that is not finite is null."""
        return {
            "law": self.law,
            "source": self.source,
            "expected": self.expected,
            "measured": self.measured if math.isfinite(self.measured) else None,
            "tolerance": str(self.tolerance),
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Topic:
    """Laws that are measured together."""

    name: str
    facts: Callable[[], Iterator[Fact]]
