"""The badges WHETHER and WHEN, and the notes: what a reader must see first, and what a reader must know."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from reslab.analysis import table, wording
from reslab.analysis.calibration import shortfalls
from reslab.analysis.contexts import Context
from reslab.analysis.contrasts import Contrast, Rescue
from reslab.analysis.gaps import FINE, Gap
from reslab.analysis.onset import Onset
from reslab.analysis.study import Study


@dataclass(frozen=True)
class Badge:
    """One of WHETHER, WHEN, WHY: its word, for which setting, one line per shortcut, the run folders behind it."""

    name: str
    word: str
    where: str
    lines: tuple[str, ...]
    n: int | None
    runs: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it in one."""
        said = "; ".join(self.lines)
        return f"{self.where}: {said}" if self.where else said


@dataclass(frozen=True)
class Judged:
    """A context with its verdicts."""

    context: Context
    gaps: Sequence[Gap]
    onsets: Sequence[Onset]
    rescues: Sequence[Rescue]
    contrasts: Sequence[Contrast]


def badges(judged: Sequence[Judged]) -> tuple[Badge, ...]:
    """WHETHER and WHEN, of the main context; `not measured` where there is nothing to say. WHY is made in `why`."""
    main = next((found for found in judged if found.context.main and found.gaps), None)
    if main is None:
        reason = ("two depths of one shortcut with ended runs are needed to compare",)
        return tuple(Badge(name, "not measured", "", reason, None, ()) for name in ("WHETHER", "WHEN"))
    few, many = min(gap.n for gap in main.gaps), max(gap.n for gap in main.gaps)
    n = f"n = {few}" if few == many else f"n = {few} to {many}"
    where = f"at {main.context.words}, {n}"
    told = [wording.telling([g for g in main.gaps if g.shortcut == s]) for s in {g.shortcut for g in main.gaps}]
    compared = {(gap.shortcut, depth) for gap in told for depth in (gap.depth, gap.against)}
    bounds = {(made.shortcut, depth) for made in main.onsets for depth in (made.after, made.onset, *made.undecided)}
    word, lines = wording.whether(main.gaps, main.rescues)
    since, onsets = wording.when(main.onsets)
    return (
        Badge("WHETHER", word, where, tuple(lines), few, folders(main.context, compared)),
        Badge("WHEN", since, where, tuple(onsets), few, folders(main.context, bounds)),
    )


def folders(context: Context, cells: Collection[tuple[str, int | None]]) -> tuple[str, ...]:
    """Run folders with a result, of these shortcuts and depths."""
    runs = context.runs.drop_nulls("counted_error").sort("shortcut", "depth", "seed")
    return tuple(row["folder"] for row in runs.iter_rows(named=True) if (row["shortcut"], row["depth"]) in cells)


def notes(runs: pl.DataFrame, judged: Sequence[Judged], study: Study) -> tuple[str, ...]:
    """Sentences on what stands in the way of trusting the numbers."""
    said = table.differences(runs)
    if study.ended:
        said.insert(0, f"declared when {study.ended} of its runs had ended already, so that the prediction is none")
    waiting = runs.filter(pl.col("counted_error").is_null())
    if len(waiting):
        said.append(f"{len(waiting)} of {len(runs)} planned runs have no result yet: {_counts(waiting, 'state')}")
    for run in runs.filter(pl.col("state").is_in(["edited", "other schema"])).iter_rows(named=True):
        said.append(f"left out of every number: {run['label']} seed={run['seed']}: {run['problem']}")
    crashed = runs.filter(outcome="failed")
    if len(crashed):
        said.append(
            f"{len(crashed)} run{'s' * (len(crashed) != 1)} stopped with an error and count as chance; run the same "
            "command again before you believe a verdict that rests on them"
        )
    flagged = runs.filter(pl.col("outcome").is_in(["diverged", "at_chance"]))
    if len(flagged):
        said.append(f"{_counts(flagged, 'outcome')}: results, counted as chance error")
    alike = runs.filter(~pl.col("cell").is_in([cell for found in judged for cell in found.context.runs["cell"]]))
    if len(alike):
        said.append("cells that differ in a setting without a column are not compared")
    said += _outside(judged, study)
    main = [gap for found in judged if found.context.main for gap in found.gaps]
    fine = [gap for gap in main if gap.verdict == FINE and not gap.failures]
    if fine:
        n = min(gap.n for gap in fine)
        rare = 1 - 0.05 ** (1 / n)
        said.append(
            f"'does not degrade' speaks of the mean of seeds like these: with {n} of {n} healthy, a share of failing "
            f"seeds up to {100 * rare:.0f} % cannot be excluded (Clopper-Pearson, one-sided 95 %)"
        )
    looks = [gap.look for gap in main if gap.look]
    return (*said, *(shortfalls(max(looks)) if looks else ()))


def _outside(judged: Sequence[Judged], study: Study) -> list[str]:
    """Cells that were run beside the declared family are in no verdict."""
    for found in judged:
        cells = found.context.family(study)
        beside = [f"{s} {d}" for s, d in found.context.samples(study) if d not in cells.get(s, ())]
        if beside and found.context.main:
            return [f"outside the declared family, and in no verdict: {', '.join(beside)}"]
    return []


def _counts(runs: pl.DataFrame, column: str) -> str:
    counted = runs.group_by(column, maintain_order=True).len()
    said = {"new": "not started", "at_chance": "at chance"}
    return ", ".join(f"{row['len']} {said.get(row[column], row[column])}" for row in counted.iter_rows(named=True))
