"""What shortcuts, states and contexts are called and in which order they stand; which contexts are budgets."""

import re
from collections.abc import Iterable, Mapping

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.table import AXES
from reslab.analysis.wording import net

LONG_NOTE = 300  # letters, from which on a note is folded
SHORTCUTS = ("none", "identity", "projection", "projection_all")


def order(found: Iterable[str]) -> list[str]:
    """Plain first, He's next, then by name."""
    names = set(found)
    return [name for name in SHORTCUTS if name in names] + sorted(names - set(SHORTCUTS))


def arm(shortcut: str) -> str:
    """How a shortcut is called in a legend, which says what `plain` is in the configuration."""
    return "plain (none)" if shortcut == "none" else shortcut


def nets(column: str = "shortcut") -> pl.Expr:
    """A column of shortcuts as it is read."""
    return pl.col(column).replace({"none": net("none")})


def plainly(states: str) -> str:
    """States and outcomes of the records in words."""
    return re.sub(r"\bnew\b", "not started", states.replace("_", " "))


def ranks(answered: Answer) -> dict[str, int]:
    """The place of every context: the main one first, then by budget and rate."""
    found = answered.runs.drop_nulls("context").sort(~pl.col("main"), "steps", "lr", "context", maintain_order=True)
    return {context: place for place, context in enumerate(found["context"].unique(maintain_order=True))}


def sorted_rows(table: pl.DataFrame, places: Mapping[str, int]) -> pl.DataFrame:
    """Rows of any table in the one order: context, shortcut, depth."""
    shortcuts = {name: place for place, name in enumerate(order(table["shortcut"].to_list()))}
    by = [pl.col("context").replace_strict(places, default=len(places), return_dtype=pl.Int64)]
    by += [pl.col("shortcut").replace_strict(shortcuts, return_dtype=pl.Int64), pl.col("depth")]
    return table.sort(by, maintain_order=True)


def shorter(contexts: Iterable[str]) -> dict[str, str]:
    """Contexts without what all of them say."""
    parts = {context: context.split(", ") for context in contexts}
    common = set.intersection(*(set(found) for found in parts.values())) if len(parts) > 1 else set()
    return {context: ", ".join(part for part in found if part not in common) for context, found in parts.items()}


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
