"""Which intervention bears on which cause of degradation, and what each outcome says of it, in every experiment alike.

The hypotheses are those of He 2015, Yang 2019, Balduzzi 2017, Li 2018, Sankararaman 2020, Orhan & Pitkow 2018, Veit
2016, and of a sceptic. The rule that makes one verdict of several interventions stands at `weigh`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reslab.analysis.causes import DOES_NOT_REMOVE, HARMS, REMOVES, Cause
from reslab.analysis.manipulation import FREED

SUPPORTS, AGAINST, UNDECIDED, UNTESTED = "supports", "against", "undecided", "not tested here"
CONTRADICT = "the interventions contradict one another"
MUCH = 0.1  # of the gap: harm beyond it is no side effect


@dataclass(frozen=True)
class Test:
    """What it says of a hypothesis if an intervention removes the gap, and if it does not; and how to read that."""

    __test__ = False  # pytest: no test of ours

    intervention: str
    removed: str
    stays: str
    reading: str


@dataclass(frozen=True)
class Hypothesis:
    """A claimed cause, who claims it, and the interventions that bear on it here."""

    key: str
    claim: str
    by: str
    tests: tuple[Test, ...] = ()
    frees: bool = False
    """Its interventions are to keep layers turning: one that did not, by the freeze index, tests nothing."""
    reading: str = ""
    """What must be seen elsewhere for a verdict to hold."""


def _frees(intervention: str, how: str) -> Test:
    return Test(intervention, SUPPORTS, AGAINST, how)


HYPOTHESES: tuple[Hypothesis, ...] = (
    Hypothesis(
        *("H1", "gradients vanish on the way to the early layers", "common belief"),
        (
            Test(
                *("no_bn", UNDECIDED, AGAINST),
                "without batch norm He's initialisation keeps the scale of gradients, so a gap that stays speaks "
                "against; one that goes does not tell H1 from H2, since scale invariance went, too",
            ),
        ),
    ),
    Hypothesis(
        *("H2", "gradients explode at the start, batch norm then freezes the early layers", "Yang 2019"),
        (
            _frees("norm_projection", "weight norms are held, so no layer's effective rate can collapse"),
            _frees("layer_rate_balance", "every layer takes steps relative to its norm"),
            _frees("long_warmup", "the first steps are too small to blow norms up"),
            _frees("init_gain", "gains at the start equalise gradients over depth"),
        ),
        frees=True,
        reading="an intervention speaks where it frees layers: they are frozen for half the time or less; unknown "
        "where a run has no update geometry",
    ),
    Hypothesis("H3", "gradients shatter into white noise", "Balduzzi 2017"),
    Hypothesis("H4", "the landscape is sharp and chaotic", "Li 2018"),
    Hypothesis("H5", "gradients of batches contradict one another", "Sankararaman 2020"),
    Hypothesis(
        *("H6", "representations collapse, units die", "Orhan & Pitkow 2018"),
        (Test("leaky", SUPPORTS, AGAINST, "leaky units cannot die; a collapse of rank by other ways is not tested"),),
    ),
    Hypothesis(
        *("H7", "deep nets converge exponentially slowly, and more steps do not help", "He 2015"),
        (
            Test(
                *("budget_x3", AGAINST, UNDECIDED),
                "a gap that three times the steps close speaks against; one that stays is foretold by every hypothesis",
            ),
        ),
    ),
    Hypothesis("H8", "residual nets win as ensembles of short paths", "Veit 2016"),
    Hypothesis(
        *("H9", "the solver cannot bring layers to the identity", "He 2015"),
        (
            Test(
                *("constructed", AGAINST, SUPPORTS),
                "begun at the shallow net's own function, SGD stays as good (against) or leaves it (supports)",
            ),
            Test(
                *("dirac_init", SUPPORTS, AGAINST),
                "begun at the identity, untrained: a gap that goes was one of finding it, one that stays was not",
            ),
        ),
    ),
    Hypothesis(
        "H10", "an artefact of rate, warm-up and initialisation, gone where each depth has its best", "a sceptic"
    ),
)


@dataclass(frozen=True)
class Weighed:
    """A hypothesis at one depth: supports, against, undecided or not tested here; why; the rows that say so."""

    verdict: str
    reason: str
    rows: tuple[Cause, ...]
    """Tested interventions in order of the hypothesis, clean or not."""
    telling: Cause | None
    """Of those that say so, the one with the largest share removed."""


def unclean(row: Cause, hypothesis: Hypothesis) -> str:
    """Why an intervention is no test of a cause, in words; empty: it is one.

    It is none where it harms the shallow net by more than a tenth of the gap, and none where more than half of the
    deep runs fail that did not fail without it: what breaks training by itself neither cures nor acquits. Nor is it
    one where the cause is that layers freeze, and they are frozen for more than half of the time that they are
    without it: it has not done what it is for.
    """
    if row.shallow_verdict == HARMS and -(row.shallow_points or 0.0) > MUCH * row.gap_points:
        return "harms the shallow net by more than a tenth of the gap"
    if 2 * (row.failed_with - row.failed_without) > row.n:
        return "breaks the deep net"
    if hypothesis.frees and row.frozen_with is not None and row.frozen_without is not None:
        if row.frozen_without == 0:
            return "does not free the layers, none of which froze"
        return "does not free the layers" if row.frozen_with > FREED * row.frozen_without else ""
    return ""


def weigh(hypothesis: Hypothesis, rows: Mapping[str, Cause]) -> Weighed:
    """One verdict of all interventions at one depth (`rows` by intervention).

    Each clean intervention (see `unclean`) with a decided verdict speaks as the table above says. The hypothesis is
    supported, or spoken against, where all those that speak agree; where they contradict one another, where none
    speaks, or where the gap itself is not established, it is undecided. Undecided interventions have no voice.
    """
    tested = [(test, rows[test.intervention]) for test in hypothesis.tests if test.intervention in rows]
    own = tuple(row for _, row in tested)
    if not tested:
        return Weighed(UNTESTED, "", (), None)
    if all(row.reason for row in own):
        return Weighed(UNDECIDED, own[0].reason, own, None)
    said = [(_spoken(test, row, hypothesis), row) for test, row in tested]
    voices = {voice for voice, _ in said} - {UNDECIDED}
    if len(voices) != 1:
        return Weighed(UNDECIDED, CONTRADICT if voices else _silence(own, hypothesis), own, None)
    (verdict,) = voices
    telling = max((row for voice, row in said if voice == verdict), key=lambda row: row.share or 0.0)
    return Weighed(verdict, f"{sum(voice == verdict for voice, _ in said)} of {len(said)} say so", own, telling)


def _silence(rows: Sequence[Cause], hypothesis: Hypothesis) -> str:
    """Why no intervention speaks."""
    decided = [row for row in rows if row.verdict in (REMOVES, DOES_NOT_REMOVE)]
    if any(not unclean(row, hypothesis) for row in decided):
        return "what was found does not tell it from other causes"
    return "no clean intervention" if decided else "no intervention decides"


def _spoken(test: Test, row: Cause, hypothesis: Hypothesis) -> str:
    if unclean(row, hypothesis):
        return UNDECIDED
    return {REMOVES: test.removed, DOES_NOT_REMOVE: test.stays}.get(row.verdict, UNDECIDED)
