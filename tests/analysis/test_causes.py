"""Why: shares only of gaps that are known, no cure by breaking all, one family, hypotheses by the rules."""

import numpy as np
import polars as pl
import pytest

from analysis.records import write
from reslab.analysis.answer import answer
from reslab.analysis.hypotheses import HYPOTHESES

STUDY = {"looks": [5], "shortcuts": ["none"], "depths": [20, 56]}
PLAIN = {("none", 20): [0.010, 0.012, 0.011, 0.013, 0.009], ("none", 56): [0.70, 0.72, 0.71, 0.69, 0.73]}
LOW, HIGH = [0.02, 0.03, 0.025, 0.022, 0.028], [0.68, 0.70, 0.69, 0.71, 0.67]
GOOD, BAD = {("none", 20): PLAIN["none", 20], ("none", 56): LOW}, {("none", 20): PLAIN["none", 20], ("none", 56): HIGH}
BROKEN = {("none", 20): ["at_chance"] * 5, ("none", 56): ["at_chance"] * 5}


def told(tmp_path, *, plain=PLAIN, study=STUDY, **interventions):
    """An experiment of these interventions, answered."""
    write(tmp_path, plain, study=study, intervention="none")
    for name, cells in interventions.items():
        write(tmp_path, cells, intervention=name)
    return answer(tmp_path, "toy")


def row(found, intervention, depth=56):
    return found.causes.filter(intervention=intervention, depth=depth).row(0, named=True)


def verdict(found, key, depth=56):
    return found.evidence.filter(hypothesis=key, depth=depth)["verdict"].item()


def test_an_intervention_that_removes_the_gap_by_hand(tmp_path):
    found = told(tmp_path, norm_projection=GOOD)
    cause = row(found, "norm_projection")
    deep, low, shallow = (np.mean(x) for x in (PLAIN["none", 56], LOW, PLAIN["none", 20]))
    assert cause["share"] == pytest.approx((deep - low) / (deep - shallow))
    assert cause["removed_points"] == pytest.approx(100 * (deep - low))
    assert cause["left_points"] == pytest.approx(100 * (low - shallow))
    assert cause["shallow_points"] == 0.0
    assert (cause["verdict"], cause["shallow_verdict"], cause["n"]) == ("removes", "does not harm", 5)
    assert cause["own_lower"] == pytest.approx(cause["lower"])  # a family of one
    assert 0.5 < cause["lower"] < cause["share"] < cause["upper"]
    assert "removes the gap: 98 % [" in cause["sentence"]
    assert "failed runs 0 with, 0 without, 0 shallow" in cause["sentence"]
    assert verdict(found, "H2") == "supports"
    assert set(found.evidence.filter(verdict="not tested here")["hypothesis"]) == {h.key for h in HYPOTHESES} - {"H2"}
    badge = found.badges[2]
    assert badge.word.startswith("H2: ")
    assert "norm_projection removes 98 % [" in badge.sentence
    assert badge.n == 5
    assert len(badge.runs) == 20


def test_breaking_all_nets_alike_is_no_cure(tmp_path):
    """No gap is left between deep and shallow, and nothing was removed; nor is that evidence against anything."""
    found = told(tmp_path, norm_projection=BROKEN, study=STUDY | {"looks": [5]})
    cause = row(found, "norm_projection")
    assert abs(cause["left_points"]) < 0.5
    assert cause["share"] < 0
    assert cause["verdict"] != "removes"
    assert cause["shallow_verdict"] == "harms"
    assert (cause["failed_with"], cause["failed_shallow"]) == (5, 5)
    assert "harms the shallow net" in cause["sentence"]
    assert verdict(found, "H2") == "undecided"
    assert found.badges[2].word == "undecided"


def test_a_cure_that_harms_the_shallow_net_supports_nothing(tmp_path):
    """The deep net is far better with it; the shallow one as bad: a trade, and no clean test."""
    cells = {("none", 20): [0.10, 0.11, 0.12, 0.10, 0.11], ("none", 56): [0.11, 0.12, 0.10, 0.11, 0.12]}
    found = told(tmp_path, norm_projection=cells)
    cause = row(found, "norm_projection")
    assert (cause["verdict"], cause["shallow_verdict"]) == ("removes", "harms")
    assert verdict(found, "H2") == "undecided"
    assert "harms the shallow net" in found.badges[2].sentence


@pytest.mark.parametrize("deep", [[0.02, 0.9, 0.3, 0.01, 0.4], [0.011, 0.012, 0.013, 0.01, 0.012]])
def test_without_an_established_gap_no_share(tmp_path, deep):
    found = told(tmp_path, plain=PLAIN | {("none", 56): deep}, norm_projection=GOOD, leaky=BAD)
    assert found.causes["share"].is_null().all()
    assert found.causes["lower"].is_null().all()
    assert set(found.causes["verdict"]) == {"undecided"}
    assert all("itself is not established" in reason for reason in found.causes["reason"])
    assert {verdict(found, key) for key in ("H2", "H6")} == {"undecided"}
    assert found.badges[2].word == "not measured"
    assert "no gap to explain" in found.badges[2].sentence


def test_nothing_is_removed(tmp_path):
    found = told(tmp_path, leaky=BAD)
    assert row(found, "leaky")["verdict"] == "does not remove"
    assert verdict(found, "H6") == "against"
    assert found.badges[2].word == "undecided"
    assert "against: H6" in found.badges[2].lines


@pytest.mark.parametrize(
    ("interventions", "key", "word"),
    [
        ({"norm_projection": GOOD, "long_warmup": GOOD}, "H2", "supports"),
        ({"norm_projection": GOOD, "long_warmup": BAD}, "H2", "undecided"),  # they contradict one another
        ({"norm_projection": BAD, "long_warmup": BAD}, "H2", "against"),
        ({"norm_projection": GOOD, "long_warmup": BROKEN}, "H2", "supports"),  # what breaks nets has no voice
        ({"no_bn": GOOD}, "H1", "undecided"),  # does not tell H1 from H2
        ({"no_bn": BAD}, "H1", "against"),
        ({"budget_x3": GOOD}, "H7", "against"),
        ({"budget_x3": BAD}, "H7", "undecided"),
        ({"constructed": {("none", 56): LOW}}, "H9", "against"),  # the shallow net was never run with it
        ({"constructed": {("none", 56): HIGH}}, "H9", "supports"),
        ({"dirac_init": BAD}, "H9", "against"),
        ({"dirac_init": GOOD}, "H9", "supports"),
        ({"dirac_init": GOOD, "constructed": {("none", 56): LOW}}, "H9", "undecided"),  # found, and held: not one thing
    ],
)
def test_what_an_outcome_says_of_a_hypothesis(tmp_path, interventions, key, word):
    found = told(tmp_path, **interventions)
    assert verdict(found, key) == word
    assert found.evidence.filter(hypothesis=key)["reading"].item()


def test_a_part_is_less_than_half(tmp_path):
    found = told(tmp_path, leaky=GOOD | {("none", 56): [0.5, 0.52, 0.51, 0.49, 0.53]})
    assert row(found, "leaky")["verdict"] == "does not remove"
    assert "does not remove the gap, though a part of it: 29 % [" in row(found, "leaky")["sentence"]


def test_an_intervention_on_no_list_has_a_row_and_no_hypothesis(tmp_path):
    found = told(tmp_path, mine=GOOD)
    assert row(found, "mine")["hypotheses"] == ""
    assert set(found.evidence["verdict"]) == {"not tested here"}
    assert found.badges[2].word == "undecided"
    assert "mine: removes, 98 %" in found.badges[2].sentence


def test_the_family_is_all_interventions_and_depths(tmp_path):
    """Doubtful effects: with three beside it, the same numbers decide on a wider interval; its own stays."""
    doubtful = GOOD | {("none", 56): [0.3, 0.1, 0.5, 0.2, 0.4]}
    alone = row(told(tmp_path / "one", leaky=doubtful), "leaky")
    among = row(told(tmp_path / "four", leaky=doubtful, mine=doubtful, no_bn=doubtful, init_gain=doubtful), "leaky")
    assert among["lower"] < alone["lower"]
    assert among["upper"] > alone["upper"]
    assert among["own_lower"] == pytest.approx(alone["own_lower"])
    assert among["lower_level"] == pytest.approx(alone["lower_level"] / 4)


def test_failures_count_as_chance_and_go_by_permutation(tmp_path):
    """One of five fails: flagged, chance error, no t interval; at n = 5 one in 252 decides a family of one."""
    failing = GOOD | {("none", 56): [*LOW[:4], "diverged"]}
    cause = row(told(tmp_path, leaky=failing), "leaky")
    assert cause["failed_with"] == 1
    assert cause["method"] == "exact permutation"
    assert cause["removed_points"] == pytest.approx(100 * (np.mean(PLAIN["none", 56]) - np.mean([*LOW[:4], 0.9])))
    assert "failed runs 1 with" in cause["sentence"]


def test_a_deep_net_that_breaks_is_no_evidence(tmp_path):
    found = told(tmp_path, leaky=BAD | {("none", 56): ["diverged"] * 5})
    assert row(found, "leaky")["verdict"] == "does not remove"
    assert verdict(found, "H6") == "undecided"
    assert "breaks the deep net" in found.evidence.filter(hypothesis="H6")["interventions"].item()


def test_before_the_look_nothing_is_decided(tmp_path):
    few = {key: values[:3] + ["planned"] * 2 for key, values in GOOD.items()}
    cause = row(told(tmp_path, norm_projection=few), "norm_projection")
    assert (cause["look"], cause["verdict"], cause["n"]) == (None, "undecided", 3)
    assert cause["own_lower"] < cause["share"] < cause["own_upper"]
    assert "interim" in cause["sentence"]


@pytest.mark.parametrize("n", [0, 1])
def test_little_to_go_by(tmp_path, n):
    few = {key: values[:n] + ["planned"] * (5 - n) for key, values in GOOD.items()}
    found = told(tmp_path, norm_projection=few)
    assert len(found.causes) == n
    assert found.causes["own_lower"].is_null().all()
    assert found.badges[2].word == ("undecided" if n else "not measured")


def test_an_intervention_may_change_other_settings(tmp_path):
    """Three times the steps, another norm: its context differs from the main one in more than the intervention."""
    write(tmp_path, PLAIN, study=STUDY, intervention="none", steps=230)
    write(tmp_path, GOOD, intervention="budget_x3", steps=690)
    write(tmp_path, BAD, intervention="no_bn", steps=230, norm="absent")
    found = answer(tmp_path, "toy")
    assert [row(found, name)["verdict"] for name in ("budget_x3", "no_bn")] == ["removes", "does not remove"]
    assert "690 steps" in row(found, "budget_x3")["context"]


def test_the_main_context_has_no_intervention_whatever_comes_first(tmp_path):
    write(tmp_path, GOOD, study=STUDY, intervention="leaky")
    write(tmp_path, PLAIN, intervention="none")
    found = answer(tmp_path, "toy")
    assert row(found, "leaky")["verdict"] == "removes"
    assert set(found.runs.filter("main")["intervention"]) == {"none"}


def test_every_depth_is_weighed(tmp_path):
    plain = PLAIN | {("none", 44): [0.6, 0.62, 0.61, 0.59, 0.6]}
    study = STUDY | {"depths": [20, 44, 56]}
    cells = GOOD | {("none", 44): [0.58, 0.6, 0.59, 0.57, 0.6]}
    found = told(tmp_path, plain=plain, study=study, leaky=cells)
    assert [verdict(found, "H6", depth) for depth in (44, 56)] == ["against", "supports"]
    assert found.badges[2].where.startswith("depth 56 against 20")
    assert found.evidence.group_by("depth").len()["len"].to_list() == [10, 10]


def test_without_interventions_there_is_no_why(tmp_path):
    found = told(tmp_path)
    assert found.causes.is_empty()
    assert found.evidence.is_empty()
    full = told(tmp_path / "full", leaky=GOOD)
    assert found.causes.columns == full.causes.columns
    assert isinstance(full.causes.schema["share"], pl.Float64)
    assert found.badges[2].word == "not measured"


def failing(n, *, without, among=8):
    """Deep runs that fail with leaky units and without them, of `among` each."""
    plain = PLAIN | {("none", 56): ["diverged"] * without + [0.70 + 0.01 * seed for seed in range(among - without)]}
    deep = ["diverged"] * n + [0.68 + 0.01 * seed for seed in range(among - n)]
    shallow = [0.010 + 0.001 * seed for seed in range(among)]
    return {"plain": plain | {("none", 20): shallow}, "leaky": {("none", 20): shallow, ("none", 56): deep}}


@pytest.mark.parametrize(
    ("n", "without", "word"),
    [(0, 0, "clean"), (4, 0, "clean"), (5, 0, "breaks"), (5, 3, "clean"), (8, 3, "breaks"), (8, 4, "clean")],
)
def test_what_failed_without_it_was_not_broken_by_it(tmp_path, n, without, word):
    """More than half of the runs must fail that did not fail before."""
    cells = failing(n, without=without)
    found = told(tmp_path, plain=cells["plain"], study=STUDY | {"looks": [8]}, leaky=cells["leaky"])
    cause = row(found, "leaky")
    assert (cause["failed_with"], cause["failed_without"], cause["n"]) == (n, without, 8)
    said = found.evidence.filter(hypothesis="H6", depth=56)["interventions"].item()
    assert ("breaks the deep net" in said) is (word == "breaks")


@pytest.mark.parametrize("n", range(9))
def test_as_many_failures_as_without_never_speak_against_an_intervention(tmp_path, n):
    cells = failing(n, without=n)
    found = told(tmp_path, plain=cells["plain"], study=STUDY | {"looks": [8]}, leaky=cells["leaky"])
    assert "breaks the deep net" not in found.evidence.filter(hypothesis="H6")["interventions"].item()
