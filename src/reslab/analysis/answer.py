"""Everything that a report says of an experiment, as tables and sentences; how it is drawn is another place."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reslab.analysis import secondary, table, why, wording
from reslab.analysis.badges import Badge, Judged, badges, notes
from reslab.analysis.contexts import Context, budgets, contexts
from reslab.analysis.contrasts import PLAIN, Rescue, contrasts, rescues, twins
from reslab.analysis.gaps import DEGRADES, judge
from reslab.analysis.intervals import interval_of_mean
from reslab.analysis.onset import onset
from reslab.analysis.published import beside
from reslab.analysis.rates import best_rates
from reslab.analysis.rows import CAUSES, CONTRASTS, CURVES, EVIDENCE, GAPS, ONSETS, RATES, RESCUES, frame
from reslab.analysis.study import POINTS, Study, read_study
from reslab.runs.folder import RunFolder
from reslab.runs.record import read_rows

__all__ = ["Answer", "Badge", "answer", "curves"]


@dataclass(frozen=True)
class Answer:
    """One experiment answered. Errors in `runs` and `cells` are shares; `*_points` are percent points.

    A *context* is all that an experiment varies beside shortcut and depth, in words ("230 steps, lr 0.1", ...); the
    main context has `main` true. A lower or upper bound of None means that no interval can be given.
    """

    experiment: str
    study: Study
    runs: pl.DataFrame
    """One row per planned run, as `table.runs`, with `context`, `main`, `failure` and `counted_error` (share; a failure
    counts as chance)."""
    cells: pl.DataFrame
    """As `table.cells` without tuning seeds, with `context`, `main`, `failures`, and `lower_points`, `upper_points`:
    the t interval (95 %) of the mean clean training error over seeds; None at n = 1 or with failures."""
    gaps: pl.DataFrame
    """One row per context, shortcut and depth but the shallowest: context, main, steps, lr, shortcut, depth, against
    (the shallower depth with the largest gap), n (seeds of the look, or of the interim numbers), look (None: before
    the first one), interim (bool), gap_points, lower_points, upper_points, method, failures, verdict (degrades, does
    not degrade, undecided), needed (sentence), sentence; test_gap_points, test_lower_points, test_upper_points;
    log_ce_gap, log_ce_lower, log_ce_upper; kind (optimisation, over-fitting or empty)."""
    onsets: pl.DataFrame
    """Per context and shortcut: context, main, shortcut, after (depth or None), onset (depth or None), sentence."""
    rescues: pl.DataFrame
    """Difference in differences of plain and a shortcut, per seed: context, main, shortcut, depth, reference, n,
    rescue_points, lower_points, upper_points, verdict (rescues, does not rescue, undecided), fraction,
    fraction_lower, fraction_upper (None: not defined), method, correlation, pairing (see `contrasts`), sentence."""
    contrasts: pl.DataFrame
    """Plain less a shortcut at one depth, per seed: context, main, shortcut, depth, n, difference_points,
    lower_points, upper_points, method, correlation (of the twins over seeds), pairing (width of the unpaired interval
    over that of the paired one), sentence."""
    budgets: pl.DataFrame
    """As `gaps`, for contexts that differ from the main one in `steps` alone, on the depths that all of them have;
    empty unless there are several."""
    rates: pl.DataFrame
    """Gap at each depth's best learning rate: shortcut, depth, against, lr, lr_against, n, gap_points, lower_points,
    upper_points, sentence; empty unless rates were swept and tuning seeds declared."""
    causes: pl.DataFrame
    """One row per intervention and plain depth, as `causes.Cause`, with `hypotheses` (those it bears on) and sentence;
    empty unless interventions were swept beside `none`."""
    evidence: pl.DataFrame
    """One row per hypothesis and depth: hypothesis, claim, by, depth, against, verdict (supports, against, undecided,
    not tested here), reason, interventions (what each did), telling (the one with the largest share of those that say
    so), n, share, lower, upper (95 %, Fieller), reading (what its outcomes can and cannot mean)."""
    published: pl.DataFrame
    """Published values beside ours: source, net, quantity, published, band_low, band_high, ours, n, lower, upper,
    split, verdict (inside, outside, no run of ours), note; errors in percent."""
    badges: tuple[Badge, ...]
    notes: tuple[str, ...]
    """What a reader must know: differing hardware, failures, edited folders, shortfalls of the methods."""


def answer(outputs: Path, experiment: str) -> Answer:
    """Read the records of an experiment and decide. ValueError for an experiment without a plan."""
    study = read_study(outputs, experiment)
    planned = table.runs(outputs, experiment)
    found = contexts(planned, study)
    planned = _with_context(planned, found)
    judged = [_judge(context, study) for context in found]
    steps = [_judge(context, study) for context in budgets(found)]
    causes, matrix = why.explain(judged, study)
    return Answer(
        experiment=experiment,
        study=study,
        runs=planned,
        cells=_cells(planned.filter(~pl.col("seed").is_in(study.tuning_seeds))),
        gaps=frame(GAPS, [row for made in judged for row in _gap_rows(made, study)]),
        onsets=frame(ONSETS, [_said(made.context) | asdict(onset) for made in judged for onset in made.onsets]),
        rescues=frame(RESCUES, [_rescue_row(made.context, r, study) for made in judged for r in made.rescues]),
        contrasts=frame(CONTRASTS, [row for made in judged for row in _contrast_rows(made)]),
        budgets=frame(GAPS, [row for made in steps for row in _gap_rows(made, study)]),
        rates=frame(RATES, best_rates(found, study)),
        causes=frame(CAUSES, [why.cause_row(row) for row in causes]),
        evidence=frame(EVIDENCE, why.evidence_rows(matrix)),
        published=beside(planned.filter("main", ~pl.col("seed").is_in(study.tuning_seeds)), study.published),
        badges=(*badges(judged), why.badge(judged, causes, matrix)),
        notes=notes(planned, judged, study),
    )


def curves(answered: Answer) -> pl.DataFrame:
    """Clean training error (share) by step, seed and shortcut, shallowest and deepest depth of the main context.

    Columns: shortcut, depth, seed, step, error, lr; from metrics.jsonl, so of the runs that have begun, too.
    """
    tuning = answered.study.tuning_seeds
    left_out = pl.col("state").is_in(["edited", "other schema"]) | pl.col("seed").is_in(tuning)
    runs = answered.runs.filter(pl.col("main") & ~left_out)
    ends = runs.group_by("shortcut").agg(low=pl.col("depth").min(), high=pl.col("depth").max())
    kept = runs.join(ends, on="shortcut").filter(
        (pl.col("depth") == pl.col("low")) | (pl.col("depth") == pl.col("high"))
    )
    rows = [
        {
            **{name: run[name] for name in ("shortcut", "depth", "seed")},
            "step": row["step"],
            "error": float(row["train/error"]),
            "lr": row.get("lr"),
        }
        for run in kept.iter_rows(named=True)
        for row in read_rows(RunFolder(Path(run["folder"])).metrics)
        if isinstance(error := row.get("train/error"), int | float) and 0 <= error <= 1
    ]
    return frame(CURVES, rows)


def _said(context: Context) -> dict[str, Any]:
    return {"context": context.words, "main": context.main}


def _judge(context: Context, study: Study) -> Judged:
    samples, cells = context.samples(study), context.family(study)
    gaps = judge(samples, study, cells)
    degraded = {gap.depth for gap in gaps if gap.shortcut == PLAIN and gap.verdict == DEGRADES}
    onsets = [
        onset(shortcut, cells[shortcut], gaps, begun=(shortcut, cells[shortcut][0]) in samples)
        for shortcut in dict.fromkeys(gap.shortcut for gap in gaps)
    ]
    return Judged(context, gaps, onsets, rescues(samples, study, cells, degraded), contrasts(samples, study, cells))


def _gap_rows(judged: Judged, study: Study) -> list[dict[str, Any]]:
    context = judged.context
    fixed = _said(context) | {"steps": context.axes["steps"], "lr": context.axes["lr"]}
    return [
        fixed
        | {"interim": gap.look is None, "sentence": wording.of_gap(gap, context.words)}
        | asdict(gap)
        | secondary.beside(gap, context, study)
        for gap in judged.gaps
    ]


def _contrast_rows(judged: Judged) -> list[dict[str, Any]]:
    words = judged.context.words
    return [
        _said(judged.context) | asdict(made) | {"sentence": wording.of_contrast(made, words)}
        for made in judged.contrasts
    ]


def _rescue_row(context: Context, rescue: Rescue, study: Study) -> dict[str, Any]:
    samples = context.samples(study)
    correlation, pairing = twins(samples[PLAIN, rescue.depth], samples[rescue.shortcut, rescue.depth])
    words = {"correlation": correlation, "pairing": pairing, "sentence": wording.of_rescue(rescue, context.words)}
    return _said(context) | asdict(rescue) | words


def _with_context(runs: pl.DataFrame, found: Sequence[Context]) -> pl.DataFrame:
    words = {cell: context.words for context in found for cell in context.runs["cell"]}
    main = {cell for context in found if context.main for cell in context.runs["cell"]}
    return runs.with_columns(
        context=pl.col("cell").replace_strict(words, default=None, return_dtype=pl.String),
        main=pl.col("cell").is_in(list(main)),
    )


def _cells(runs: pl.DataFrame) -> pl.DataFrame:
    """The table of cells with the 95 % t interval of the mean clean training error."""
    made = table.cells(runs)
    places = runs.unique("cell", maintain_order=True).select("cell", "context", "main")
    bounds = {str(cell): _interval(group) for (cell,), group in runs.group_by("cell", maintain_order=True)}
    lower, upper = ([bounds[cell][at] for cell in made["cell"]] for at in (0, 1))
    named = {"lower_points": lower, "upper_points": upper}
    columns = [pl.Series(name, values, dtype=pl.Float64) for name, values in named.items()]
    return made.join(places, on="cell", how="left", maintain_order="left").with_columns(columns)


def _interval(runs: pl.DataFrame) -> tuple[float | None, float | None]:
    ended = runs.drop_nulls("counted_error")
    if len(ended) < 2 or ended["failure"].any():
        return None, None
    floor = 1 / float(ended["images"][0]) / math.sqrt(12)
    lower, upper = interval_of_mean(ended["counted_error"].to_list(), floor=floor)
    return POINTS * max(lower, 0.0), POINTS * min(upper, 1.0)
