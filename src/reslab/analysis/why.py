"""The WHY of a report: what interventions remove in sentences, the evidence matrix, and the badge."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from reslab.analysis.badges import Badge, Judged, folders
from reslab.analysis.causes import DOES_NOT_REMOVE, HARMLESS, HARMS, NOT_RUN, REMOVES, Cause, causes, interventions
from reslab.analysis.contexts import Context
from reslab.analysis.contrasts import PLAIN
from reslab.analysis.gaps import DEGRADES
from reslab.analysis.hypotheses import HYPOTHESES, SUPPORTS, UNDECIDED, UNTESTED, Hypothesis, Weighed, unclean, weigh
from reslab.analysis.manipulation import frozen_share
from reslab.analysis.study import Study
from reslab.analysis.wording import number, seeds

UNMEASURED = "not measured"
Matrix = Mapping[int, Sequence[tuple[Hypothesis, Weighed]]]


def explain(judged: Sequence[Judged], study: Study) -> tuple[list[Cause], Matrix]:
    """Every intervention at every depth, and every hypothesis weighed at each; both empty without interventions."""
    main = next((found for found in judged if found.context.main), None)
    found = [made.context for made in judged]
    rows = _checked(causes(found, main.gaps, study), found, study) if main else []
    depths = dict.fromkeys(sorted(row.depth for row in rows))
    by_depth = {depth: {row.intervention: row for row in rows if row.depth == depth} for depth in depths}
    return rows, {depth: [(h, weigh(h, own)) for h in HYPOTHESES] for depth, own in by_depth.items()}


def _checked(rows: list[Cause], found: Sequence[Context], study: Study) -> list[Cause]:
    """With the share of layers that were frozen, with and without each intervention."""
    main, changed = next(context for context in found if context.main), interventions(found)
    shares = {(row.depth, row.n): frozen_share(main, row.depth, study, row.n) for row in rows}
    return [
        replace(
            row,
            frozen_with=frozen_share(changed[row.intervention], row.depth, study, row.n),
            frozen_without=shares[row.depth, row.n],
        )
        for row in rows
    ]


def share(row: Cause) -> str:
    """The share of the gap that is removed, with its own 95 % interval."""
    if row.share is None:
        return f"no share, since {row.reason}"
    if row.own_lower is None and row.own_upper is None:
        return f"{round(100 * row.share)} % of the gap, with no bound on either side"
    low, high = ("open" if bound is None else str(round(100 * bound)) for bound in (row.own_lower, row.own_upper))
    return f"{round(100 * row.share)} % [{low}, {high}] of the gap"


def shallow(row: Cause) -> str:
    """What the intervention does to the shallow net: the change of its error, above 0 for a worse net."""
    if row.shallow_points is None:
        return f"the depth-{row.against} net was not run with it"
    low, high = (None if bound is None else -bound for bound in (row.shallow_own_lower, row.shallow_own_upper))
    words = {HARMS: "harms the shallow net", HARMLESS: "does not harm the shallow net"}
    said = words.get(row.shallow_verdict, "harm to the shallow net undecided")
    return f"{said}: depth-{row.against} error changes by {number(0.0 - row.shallow_points, high, low)}"


def failed(row: Cause) -> str:
    """Runs that count as chance; always said, also if none did."""
    return f"failed runs {row.failed_with} with, {row.failed_without} without, {row.failed_shallow} shallow"


def sentence(row: Cause) -> str:
    """All of one row."""
    part = ", though a part of it" if row.verdict == DOES_NOT_REMOVE and (row.own_lower or 0) > 0 else ""
    verdict = row.verdict if row.verdict == UNDECIDED else f"{row.verdict} the gap{part}"
    left = "" if row.left_points is None else f"; gap left {number(row.left_points, row.left_lower, row.left_upper)}"
    return (
        f"{row.intervention} at depth {row.depth} against {row.against}, {row.context}: {verdict}: {share(row)} "
        f"(a gap of {row.gap_points:+.2f} points, {seeds(row.n, row.look)}, {row.method or 'no test'}); "
        f"{shallow(row)}{left}; {failed(row)}"
    )


def cause_row(row: Cause) -> dict[str, Any]:
    """A line of the table of causes; `hypotheses` are those that the intervention bears on."""
    borne = [h.key for h in HYPOTHESES if row.intervention in {test.intervention for test in h.tests}]
    return asdict(row) | {"shortcut": PLAIN, "hypotheses": ", ".join(borne), "sentence": sentence(row)}


def evidence_rows(matrix: Matrix) -> list[dict[str, Any]]:
    """A line per hypothesis and depth."""
    return [_evidence(h, depth, weighed) for depth, found in matrix.items() for h, weighed in found]


def _evidence(hypothesis: Hypothesis, depth: int, weighed: Weighed) -> dict[str, Any]:
    rows, telling = weighed.rows, weighed.telling
    tested = {row.intervention for row in rows}
    read = [f"{test.intervention}: {test.reading}" for test in hypothesis.tests if test.intervention in tested]
    return {
        **{"hypothesis": hypothesis.key, "claim": hypothesis.claim, "by": hypothesis.by, "depth": depth},
        **{"verdict": weighed.verdict, "reason": weighed.reason, "against": rows[0].against if rows else None},
        "interventions": "; ".join(_brief(row, hypothesis) for row in rows),
        "telling": telling.intervention if telling else None,
        "n": min((row.n for row in rows), default=None),
        "share": telling.share if telling else None,
        "lower": telling.own_lower if telling else None,
        "upper": telling.own_upper if telling else None,
        "reading": "; ".join([*read, *([hypothesis.reading] if read and hypothesis.reading else [])]),
    }


def _brief(row: Cause, hypothesis: Hypothesis) -> str:
    wrong = unclean(row, hypothesis)
    aside = f", {wrong}" if wrong else ", shallow net not run" if row.shallow_verdict == NOT_RUN else ""
    freed = f", {frozen(row)}" if hypothesis.frees and frozen(row) else ""
    return f"{row.intervention}: {row.verdict}, {share(row)}{aside}{freed}"


def frozen(row: Cause) -> str:
    """How long layers were frozen, where it was recorded."""
    if row.frozen_with is None or row.frozen_without is None:
        return ""
    return f"layers frozen for {100 * row.frozen_with:.1f} % of the time, {100 * row.frozen_without:.1f} % without"


def badge(judged: Sequence[Judged], rows: Sequence[Cause], matrix: Matrix) -> Badge:
    """WHY: at the deepest depth that degrades, the supported hypothesis whose intervention removes most of the gap.

    `undecided` where none is supported, `not measured` where there is no intervention or no gap to explain.
    """
    found = [made.context for made in judged]
    main = next((made for made in judged if made.context.main), None)
    if main is None or not interventions(found):
        return Badge("WHY", UNMEASURED, "", ("interventions tell why; this experiment has none",), None, ())
    if not rows:
        return Badge("WHY", UNMEASURED, "", ("no run with an intervention has a result yet",), None, ())
    known = {gap.depth for gap in main.gaps if gap.shortcut == PLAIN and gap.verdict == DEGRADES}
    depth = max((row.depth for row in rows if row.depth in known), default=None)
    if depth is None:
        reason = ("no depth is known to degrade here, so there is no gap to explain",)
        return Badge("WHY", UNMEASURED, "", reason, None, ())
    own = sorted((row for row in rows if row.depth == depth), key=lambda row: -(row.share or 0.0))
    weighed = matrix[depth]
    supported = [(h, w.telling) for h, w in weighed if w.verdict == SUPPORTS and w.telling]
    supported.sort(key=lambda pair: -(pair[1].share or 0.0))
    lines = [f"{h.key}, {h.claim}: {row.intervention} removes {share(row)}, n = {row.n}" for h, row in supported]
    told = {row.intervention for _, row in supported}
    lines += [f"{row.intervention}: {row.verdict}, {share(row)}; {shallow(row)}" for row in _others(own, told)]
    for word in ("against", UNDECIDED, UNTESTED):
        keys = [_named(h, w) for h, w in weighed if w.verdict == word]
        lines += [f"{word}: {', '.join(keys)}"] if keys else []
    n = min(row.n for row in own)
    where = f"depth {depth} against {own[0].against}, at {main.context.words}, n = {n}"
    cells = {(PLAIN, depth), (PLAIN, own[0].against)}
    contexts = [main.context, *(interventions(found)[row.intervention] for row in own)]
    runs = tuple(folder for context in contexts for folder in folders(context, cells))
    word = f"{supported[0][0].key}: {supported[0][0].claim}" if supported else "undecided"
    return Badge("WHY", word, where, tuple(lines), n, runs)


def _named(hypothesis: Hypothesis, weighed: Weighed) -> str:
    """Its key; with what must be seen elsewhere, where a verdict was given that rests on it."""
    rests = hypothesis.reading and weighed.verdict not in (UNDECIDED, UNTESTED)
    return f"{hypothesis.key} ({hypothesis.reading})" if rests else hypothesis.key


def _others(rows: Sequence[Cause], told: set[str]) -> list[Cause]:
    """The interventions that remove the gap and support nothing; without any, the one that removes most."""
    removing = [row for row in rows if row.verdict == REMOVES and row.intervention not in told]
    return removing or ([] if told else list(rows[:1]))
