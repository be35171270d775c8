"""What shortcuts are called and in which order they stand; which contexts are budgets."""

from collections.abc import Iterable

from reslab.analysis.answer import Answer
from reslab.analysis.table import AXES

LONG_NOTE = 300  # letters, from which on a note is folded
SHORTCUTS = ("none", "identity", "projection", "projection_all")


def order(found: Iterable[str]) -> list[str]:
    """Plain first, He's next, then by name."""
    names = set(found)
    return [name for name in SHORTCUTS if name in names] + sorted(names - set(SHORTCUTS))


def arm(shortcut: str) -> str:
    """How a shortcut is called in a figure."""
    return "plain (none)" if shortcut == "none" else shortcut


def budgets(answered: Answer) -> list[str]:
    """The contexts that differ from the main one in their steps and in nothing else, the main one included."""
    axes = [axis for axis in AXES if axis not in ("shortcut", "depth", "steps")]
    settings = answered.runs.select("context", "main", "steps", *axes).unique().sort("steps")
    here = settings.filter("main").select(axes).unique()
    return (
        settings.join(here, on=axes, nulls_equal=True, maintain_order="left")["context"]
        .unique(maintain_order=True)
        .to_list()
    )
