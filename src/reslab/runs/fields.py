"""What a field of a record must be: a rule per field, kept once where the record is read and relied on afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1e300  # larger ones overflow in the next computation
LONGEST = 2**63  # whole numbers beyond it fit into no table


@dataclass(frozen=True)
class Rule:
    """In words what a value must be, and whether it is."""

    words: str
    holds: Callable[[Any], bool]


def number(value: Any, *, least: float = -LARGEST) -> float | None:
    """A finite number of at least `least`; None for anything else: a bool, a text, NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if least <= value <= LARGEST else None


def is_whole(value: Any, *, least: int = 0) -> bool:
    """Whether it is an integer of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < LONGEST


TEXT = Rule("a text", lambda value: isinstance(value, str))
NAME = Rule("a name", lambda value: isinstance(value, str) and value != "" and value.isprintable())
NUMBER = Rule("a finite number", lambda value: number(value) is not None)


def whole(least: int = 0) -> Rule:
    """An integer of at least `least`."""
    return Rule(f"a whole number of at least {least}", lambda value: is_whole(value, least=least))


def optional(rule: Rule) -> Rule:
    """That or null."""
    return Rule(f"{rule.words} or null", lambda value: value is None or rule.holds(value))


def each(rule: Rule) -> Rule:
    """A table whose every value is that."""
    return Rule(
        f"a table, each value {rule.words}",
        lambda value: isinstance(value, Mapping) and all(map(rule.holds, value.values())),
    )


def table(rules: Mapping[str, Rule]) -> Rule:
    """A table whose known fields are as they must be."""
    words = ", ".join(f"{name}: {rule.words}" for name, rule in rules.items())
    return Rule(f"a table ({words})", lambda value: isinstance(value, Mapping) and not broken(value, rules))


def broken(record: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[str]:
    """The fields of a record that break their rule, in words; a field that is absent breaks none."""
    return [
        f"{name}={_shown(record[name])}, not {rule.words}"
        for name, rule in rules.items()
        if name in record and not rule.holds(record[name])
    ]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
