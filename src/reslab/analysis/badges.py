"""The three badges and the notes: what a reader must see first, and what a reader must know."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from reslab.analysis import table, wording
from reslab.analysis.calibration import shortfalls
from reslab.analysis.contexts import Context
from reslab.analysis.gaps import Gap
from reslab.analysis.onset import Onset


@dataclass(frozen=True)
class Badge:
    """One of WHETHER, WHEN, WHY: its word, its sentence, the run folders behind it."""

    name: str
    word: str
    sentence: str
    n: int | None
    runs: tuple[str, ...]


def badges(
    judged: Sequence[tuple[Context, Sequence[Gap]]], begun: Sequence[tuple[Context, Sequence[Onset]]]
) -> tuple[Badge, ...]:
    """Of the main context; `not measured` where there is nothing to say."""
    made = []
    context, gaps = next(((c, gaps) for c, gaps in judged if c.main), (None, ()))
    if context is not None and gaps:
        word, sentence = wording.whether(gaps, context.words)
        n = min(gap.n for gap in gaps)
        made.append(Badge("WHETHER", word, sentence, n, _folders(context, gaps)))
        onsets = next(onsets for c, onsets in begun if c.main)
        word, sentence = wording.when(onsets, context.words)
        made.append(Badge("WHEN", word, sentence, n, _folders(context, gaps)))
    else:
        reason = "two depths of one shortcut with ended runs are needed to compare"
        made += [Badge(name, "not measured", reason, None, ()) for name in ("WHETHER", "WHEN")]
    why = "interventions tell why; this experiment has none"
    return (*made, Badge("WHY", "not measured", why, None, ()))


def _folders(context: Context, gaps: Sequence[Gap]) -> tuple[str, ...]:
    """Of the cells that the telling gap of each shortcut compares."""
    found: list[str] = []
    for shortcut in dict.fromkeys(gap.shortcut for gap in gaps):
        gap = wording.telling([g for g in gaps if g.shortcut == shortcut])
        own = context.runs.filter(pl.col("shortcut") == shortcut, pl.col("depth").is_in([gap.depth, gap.against]))
        found += own.drop_nulls("counted_error").sort("depth", "seed")["folder"].to_list()
    return tuple(found)


def notes(runs: pl.DataFrame, contexts: Sequence[Context], gaps: Sequence[Gap]) -> tuple[str, ...]:
    """Sentences on what stands in the way of trusting the numbers."""
    said = table.differences(runs)
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
    alike = runs.filter(~pl.col("cell").is_in([cell for c in contexts for cell in c.runs["cell"]]))
    if len(alike):
        said.append("cells that differ in a setting without a column are not compared")
    fine = [gap for gap in gaps if gap.verdict == "does not degrade" and not gap.failures]
    if fine:
        n = min(gap.n for gap in fine)
        rare = 1 - 0.05 ** (1 / n)
        said.append(
            f"'does not degrade' speaks of the mean of seeds like these: with {n} of {n} healthy, a share of failing "
            f"seeds up to {100 * rare:.0f} % cannot be excluded (Clopper-Pearson, one-sided 95 %)"
        )
    looks = {gap.look for gap in gaps if gap.look}
    return (*said, *(sentence for n in sorted(looks) for sentence in shortfalls(n)))


def _counts(runs: pl.DataFrame, column: str) -> str:
    counted = runs.group_by(column, maintain_order=True).len()
    return ", ".join(f"{row['len']} {row[column].replace('_', ' ')}" for row in counted.iter_rows(named=True))
