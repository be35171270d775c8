"""Runs sorted into contexts: all that an experiment varies beside shortcut and depth is held equal within one."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from reslab.analysis.gaps import family
from reslab.analysis.study import Study
from reslab.analysis.table import AXES, ambiguous
from reslab.analysis.verdict import Key, Sample
from reslab.analysis.wording import budget

ALWAYS_SAID = ("steps", "lr")
AROUND = tuple(axis for axis in AXES if axis not in ("shortcut", "depth"))


@dataclass(frozen=True)
class Context:
    """One setting of everything but shortcut and depth, with its runs."""

    words: str
    main: bool
    axes: dict[str, object]
    runs: pl.DataFrame
    _known: dict[tuple[str, Study], dict[Key, Sample]] = field(default_factory=dict, repr=False, compare=False)
    """Samples by column and study: every row of every table asks for the same ones."""

    def family(self, study: Study) -> dict[str, tuple[int, ...]]:
        """Depths by shortcut. The declared family is that of the main context; another has what was planned."""
        own = study if self.main else replace(study, shortcuts=(), depths=())
        planned = self.runs.filter(~pl.col("seed").is_in(study.tuning_seeds)).select("shortcut", "depth")
        return family([(str(shortcut), int(depth)) for shortcut, depth in planned.iter_rows()], own)

    def narrowed(self, depths: Collection[int]) -> "Context":
        """The same setting with these depths alone, as a family of its own."""
        return Context(self.words, False, self.axes, self.runs.filter(pl.col("depth").is_in(list(depths))))

    @property
    def depths(self) -> set[int]:
        """All planned ones."""
        return set(self.runs["depth"])

    def samples(self, study: Study) -> dict[Key, Sample]:
        """Counted clean training errors by seed, tuning seeds left out; the table must hold one cell per key."""
        return self._remembered("counted_error", study, self.runs)

    def log_cross_entropies(self, study: Study) -> dict[Key, Sample]:
        """The second estimand: log of the clean cross-entropy in nats; a failure counts as ln(classes)."""
        chance = (1 / (1 - pl.col("chance"))).log()
        entropy = pl.when("failure").then(chance).otherwise(pl.col("train_cross_entropy")).clip(lower_bound=1e-12)
        return self._remembered("log", study, self.runs.with_columns(log=entropy.log()))

    def test_errors(self, study: Study) -> dict[Key, Sample]:
        """Test errors by seed; a failure counts as chance."""
        error = pl.when("failure").then("chance").otherwise("test_error")
        return self._remembered("counted_test", study, self.runs.with_columns(counted_test=error))

    def _remembered(self, column: str, study: Study, rows: pl.DataFrame) -> dict[Key, Sample]:
        if (column, study) not in self._known:
            kept = rows.filter(~pl.col("seed").is_in(study.tuning_seeds))
            self._known[column, study] = _samples(kept, column)
        return self._known[column, study]


def contexts(runs: pl.DataFrame, study: Study) -> list[Context]:
    """In order of the plan; the main one has the most cells of the declared family.

    Among equals it is the first without an intervention, else the first. Cells that no axis tells apart are left out.
    """
    cells = runs.unique("cell", maintain_order=True)
    told_apart = cells.filter(~ambiguous(cells))
    declared = pl.lit(value=True)
    for name, values in (("shortcut", study.shortcuts), ("depth", study.depths)):
        declared = declared & (pl.col(name).is_in(list(values)) if values else True)
    found = []
    for values, group in told_apart.group_by(AROUND, maintain_order=True):
        axes = dict(zip(AROUND, values, strict=True))
        found.append((axes, group["cell"].to_list(), len(group.filter(declared))))
    if not found:
        return []
    varied = [axis for axis in AROUND if len({axes[axis] for axes, _, _ in found}) > 1 or axis in ALWAYS_SAID]
    largest = max(range(len(found)), key=lambda at: (found[at][2], found[at][0]["intervention"] == "none", -at))
    return [
        Context(_words(axes, varied), at == largest, axes, runs.filter(pl.col("cell").is_in(own)))
        for at, (axes, own, _) in enumerate(found)
    ]


def budgets(found: Sequence[Context]) -> list[Context]:
    """Contexts that differ from the main one in nothing but steps, on the depths that all of them have.

    Empty unless there are several and at least two such depths: a gap at one budget is only held against a gap at
    another where both are against the same shallower nets.
    """
    main = next((context for context in found if context.main), None)
    if main is None:
        return []
    alike = [c for c in found if all(c.axes[name] == value for name, value in main.axes.items() if name != "steps")]
    common = set.intersection(*(context.depths for context in alike))
    return [context.narrowed(common) for context in alike] if len(alike) > 1 and len(common) > 1 else []


def _words(axes: dict[str, object], varied: list[str]) -> str:
    others = [f"{axis} {axes[axis]}" for axis in varied if axis not in ALWAYS_SAID]
    return ", ".join([budget(axes["steps"], f"lr {axes['lr']:g}"), *others])


def _samples(rows: pl.DataFrame, column: str) -> dict[Key, Sample]:
    """One per cell with a result; rows are in the order of the plan."""
    found = {}
    for (shortcut, depth), group in rows.group_by("shortcut", "depth", maintain_order=True):
        ended, images = group.drop_nulls(["counted_error", column]), group["images"].drop_nulls()
        if not ended.is_empty():
            found[str(shortcut), int(str(depth))] = Sample(
                tuple(group["seed"]),
                tuple(ended["seed"]),
                tuple(ended[column]),
                tuple(ended["failure"]),
                1 / float(images[0]) if len(images) else math.ulp(1.0),
            )
    return found
