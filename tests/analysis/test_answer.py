"""From records to sentences: contexts, failures, budgets, rates, published values, what was declared."""

import json
from pathlib import Path

import pytest

from analysis.records import write
from reslab.analysis.answer import answer, curves
from reslab.analysis.published import VALUES, beside
from reslab.analysis.study import Study, declare, read_study

GRID = {
    ("none", 8): [0.0, 0.0, 0.001],
    ("none", 56): [0.70, 0.72, 0.71],
    ("identity", 8): [0.0, 0.001, 0.0],
    ("identity", 56): [0.001, 0.0, 0.001],
}
ONE = {"looks": [3], "shortcuts": ["none", "identity"], "depths": [8, 56]}


def test_badges_say_number_interval_n_budget_and_runs(tmp_path):
    found = answer(write(tmp_path, GRID, study=ONE), "toy")
    whether, when, why = found.badges
    assert whether.word == "plain degrades"
    assert "+70.97 points [" in whether.sentence
    assert "n = 3" in whether.sentence
    assert "at 230 steps, lr 0.1" in whether.sentence
    assert (when.word, why.word) == ("plain: (8, 56]", "not measured")
    assert "identity takes away 100 %" in whether.sentence
    assert len(whether.lines) == 3
    assert len(whether.runs) == 12
    assert all("seed=" in run for run in whether.runs)


def test_whether_names_the_depths_beyond_the_deepest_share(tmp_path):
    """At 110 most runs fail, so that no share is defined there: what holds at 56 is not said of the deepest nets."""
    cells = {(s, d): [0.01 + 0.001 * seed for seed in range(8)] for s in ("none", "identity") for d in (20, 56, 110)}
    cells["none", 56] = [0.7 + 0.01 * seed for seed in range(8)]
    cells["none", 110] = ["at_chance"] * 8
    cells["identity", 110] = [0.1, 0.3, *["at_chance"] * 6]
    study = {"looks": [8], "shortcuts": ["none", "identity"], "depths": [20, 56, 110]}
    found = answer(write(tmp_path, cells, study=study), "toy")
    rescues = {row["depth"]: row for row in found.rescues.iter_rows(named=True)}
    assert (rescues[56]["verdict"], rescues[110]["verdict"]) == ("rescues", "undecided")
    assert rescues[110]["fraction"] is None
    (line,) = (line for line in found.badges[0].lines if "takes away" in line)
    assert line.startswith("identity takes away 100 % [")
    assert line.endswith("at depth 56, at depth 110 undecided, share of the plain gap not defined (runs failed)")


def test_a_rescue_without_a_share_is_named_without_one(tmp_path):
    """Plain-110 fails and identity-110 does not: rescued, and a share would be one of chance."""
    cells = {(s, d): [0.01 + 0.001 * seed for seed in range(8)] for s in ("none", "identity") for d in (20, 110)}
    cells["none", 110] = ["at_chance"] * 8
    found = answer(write(tmp_path, cells, study={"looks": [8]}), "toy")
    assert "identity rescues depth 110, share of the plain gap not defined" in found.badges[0].lines


@pytest.mark.parametrize(("looks", "said"), [([3], False), ([4], True), ([3, 4], True)])
def test_an_n_that_was_not_simulated_is_told(tmp_path, looks, said):
    cells = {key: [*values, values[0]] for key, values in GRID.items()}
    found = answer(write(tmp_path, cells, study=ONE | {"looks": looks}), "toy")
    notes = [note for note in found.notes if "not simulated" in note]
    words = "not simulated at n = 4, but at n = 3, 5, 8: how often verdicts are false here is not known"
    assert notes == [words] * said


def test_every_table_has_its_columns_even_without_rows(tmp_path):
    found = answer(write(tmp_path, {("none", 8): ["planned"]}), "toy")
    full = answer(write(tmp_path / "full", GRID), "toy")
    for name in ("gaps", "onsets", "rescues", "contrasts", "rates", "published"):
        assert getattr(found, name).is_empty()
        assert getattr(found, name).columns == getattr(full, name).columns
    assert [badge.word for badge in found.badges] == ["not measured"] * 3
    assert any("1 of 1 planned runs have no result yet" in note for note in found.notes)


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        ({("none", 8): [0.1, 0.1, 0.1]}, "not measured"),  # one depth
        ({("none", 8): [0.1], ("none", 56): [0.9]}, "plain undecided"),  # one seed
        ({("none", 8): ["failed"] * 3, ("none", 56): ["diverged"] * 3}, "plain undecided"),  # only failures
    ],
)
def test_little_to_go_by_is_never_a_verdict(tmp_path, cells, word):
    found = answer(write(tmp_path, cells, study={"looks": [3]}), "toy")
    assert found.badges[0].word == word
    assert set(found.gaps["verdict"]) <= {"undecided"}


def test_at_chance_counts_as_chance_and_is_flagged(tmp_path):
    cells = {("none", 8): [0.1] * 5, ("none", 110): ["at_chance"] * 5}
    found = answer(write(tmp_path, cells, study={"looks": [5]}), "toy")
    (row,) = found.gaps.iter_rows(named=True)
    assert row["gap_points"] == pytest.approx(80.0)
    assert (row["failures"], row["superiority"], row["verdict"]) == (5, 1.0, "degrades")
    assert row["failure_rate_low"] == pytest.approx(0.025 ** (1 / 5))
    assert any("5 at chance" in note for note in found.notes)


def test_crashed_runs_are_told_with_a_warning(tmp_path):
    found = answer(write(tmp_path, {("none", 8): [0.1] * 3, ("none", 56): [0.1, 0.2, "failed"]}), "toy")
    assert any("1 run stopped with an error and count" in note.replace("counts", "count") for note in found.notes)


def test_budgets_are_contexts_of_their_own(tmp_path):
    write(tmp_path, GRID, study=ONE)
    longer = {key: [value / 10 for value in values] for key, values in GRID.items() if key[1] == 56} | {
        ("none", 8): GRID["none", 8]
    }
    write(tmp_path, longer, steps=3450)
    found = answer(tmp_path, "toy")
    assert found.gaps["context"].unique().sort().to_list() == ["230 steps, lr 0.1", "3,450 steps, lr 0.1"]
    assert set(found.gaps.filter("main")["steps"]) == {230}
    assert found.gaps.filter(steps=3450)["upper_points"].null_count() == 0  # a family of its own, not the declared one
    assert sorted(found.budgets["steps"].unique()) == [230, 3450]
    assert set(found.budgets["main"]) == {False}
    deep = found.gaps.filter(steps=3450, shortcut="none").row(0, named=True)
    assert deep["gap_points"] == pytest.approx(7.1 - 0.0333, abs=0.01)


def test_budgets_are_compared_on_common_depths_only(tmp_path):
    """Depth 8 has no long runs: at the short budget, too, 56 is then held against 20."""
    write(tmp_path, GRID | {("none", 20): [0.02, 0.03, 0.02]}, study=ONE | {"depths": [8, 20, 56]})
    write(tmp_path, {("none", 20): [0.0, 0.0, 0.0], ("none", 56): [0.5, 0.5, 0.5]}, steps=3450)
    found = answer(tmp_path, "toy")
    assert set(found.budgets.filter(shortcut="none")["against"]) == {20}
    assert found.gaps.filter("main", shortcut="none", depth=56)["against"].item() == 8
    assert answer(write(tmp_path / "one", GRID), "toy").budgets.is_empty()


def test_when_links_the_runs_of_its_bounds(tmp_path):
    cells = GRID | {("none", 20): [0.30, 0.31, 0.30], ("identity", 20): [0.0, 0.0, 0.0]}
    found = answer(write(tmp_path, cells, study={"looks": [3]}), "toy")
    assert found.badges[1].word == "plain: (8, 20]"
    linked = {Path(run).parent.name for run in found.badges[1].runs}
    assert {"none8", "none20"} <= linked
    assert "none56" not in linked


def test_a_late_declaration_is_told(tmp_path):
    found = answer(write(tmp_path, GRID, study=ONE | {"ended": 12}), "toy")
    assert "declared when 12 of its runs had ended already" in found.notes[0]


def test_cells_without_a_column_of_their_own_are_not_compared(tmp_path):
    write(tmp_path, GRID, study=ONE)
    plan = tmp_path / "experiments/toy/plan.jsonl"
    line = json.loads(next(text for text in plan.read_text().splitlines() if "none56" in text))
    with plan.open("a") as file:
        file.write(json.dumps(line | {"cell": "twin", "folder": "runs/twin/seed=0"}) + "\n")
    found = answer(tmp_path, "toy")
    assert found.gaps.filter(shortcut="none").is_empty()
    assert any("are not compared" in note for note in found.notes)


def test_log_cross_entropy_stands_beside_small_errors_only(tmp_path):
    small = answer(write(tmp_path / "small", GRID, study=ONE), "toy").gaps
    large = answer(write(tmp_path / "large", {("none", 8): [0.1] * 3, ("none", 56): [0.2] * 3}), "toy").gaps
    assert small["log_ce_gap"].null_count() == 0
    assert large["log_ce_gap"].null_count() == len(large)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [((50, 51, 52), "over-fitting"), ((0, 50, 103), "")],  # as large a gap, and a lower bound below the margin
)
def test_over_fitting_is_told_from_optimisation_failure(tmp_path, wrong, kind):
    """By the lower bound of the test gap alone, which no family corrects."""
    write(tmp_path, {("none", 8): [0.0] * 3, ("none", 56): [0.0] * 3}, study={"looks": [3]})
    for seed, errors in enumerate(wrong):
        path = tmp_path / f"runs/none56/seed={seed}/result.json"
        result = json.loads(path.read_text())
        path.write_text(json.dumps(result | {"test": result["test"] | {"error": errors / 1000, "errors": errors}}))
    (row,) = answer(tmp_path, "toy").gaps.iter_rows(named=True)
    assert (row["verdict"], row["kind"]) == ("does not degrade", kind)
    assert (row["test_lower_points"] > 0.25) == (kind == "over-fitting")
    assert answer(write(tmp_path / "o", GRID, study=ONE), "toy").gaps.row(0, named=True)["kind"] == "optimisation"


def test_best_rate_is_chosen_on_seeds_that_the_gap_never_sees(tmp_path):
    """At depth 56 the tuning seeds prefer lr 0.01; on the other seeds it is the worse one, and is used all the same."""
    study = {"looks": [3], "tuning_seeds": [100, 101]}
    write(tmp_path, {("none", 20): [0.02, 0.021, 0.02], ("none", 56): [0.30, 0.31, 0.30]}, study=study, lr=0.1)
    write(tmp_path, {("none", 20): [0.05, 0.05, 0.05], ("none", 56): [0.40, 0.41, 0.42]}, lr=0.01)
    for lr, shallow, deep in ((0.1, 0.02, 0.5), (0.01, 0.04, 0.1)):
        plan = {("none", 20): [shallow] * 2, ("none", 56): [deep] * 2}
        write(tmp_path, plan, first_seed=100, lr=lr)
    found = answer(tmp_path, "toy")
    (row,) = found.rates.iter_rows(named=True)
    assert (row["lr"], row["lr_against"]) == (0.01, 0.1)
    assert row["gap_points"] == pytest.approx(41 - 2.0333, abs=0.01)
    assert row["n"] == 3
    assert "best rate of each depth (0.01 against 0.1; 0.01, 0.1 are at the edge of those tried)" in row["sentence"]
    assert set(found.cells["n"]) == {3}
    assert set(found.gaps["n"]) == {3}  # tuning seeds are in no other comparison, either


def test_published_values_find_their_nets(tmp_path):
    cifar = {"data": "cifar10", "recipe": "he2015", "block": "basic", "order": "post", "norm": "batch"}
    cifar |= {"steps": 64_000, "batch": 128, "width": 16, "net": "cifar"}
    write(tmp_path, {("none", 20): [0.0135, 0.014, 0.0145], ("identity", 20): [0.2, 0.2, 0.2]}, **cifar)
    runs = answer(tmp_path, "toy").runs
    table = {(row["net"], row["quantity"]): row for row in beside(runs, "he2015").iter_rows(named=True)}
    plain = table["plain-20", "train error %"]
    assert (plain["verdict"], plain["n"]) == ("inside", 3)
    assert plain["ours"] == pytest.approx(1.4)
    assert plain["lower"] < 1.4 < plain["upper"]
    assert table["ResNet-20", "test error %"]["verdict"] == "outside"
    assert table["plain-56", "train error %"]["verdict"] == "no run of ours"
    with pytest.raises(ValueError, match=r"study\.published=he is unknown; it is he2015 or he2016"):
        beside(runs, "he")


def test_another_budget_is_never_held_against_the_paper(tmp_path):
    cifar = {"data": "cifar10", "recipe": "he2015", "block": "basic", "order": "post", "norm": "batch"}
    write(tmp_path, {("none", 20): [0.3, 0.3]}, **cifar, steps=1000, batch=128, width=16, net="cifar")
    assert set(beside(answer(tmp_path, "toy").runs, "he2015")["verdict"]) == {"no run of ours"}


def test_main_is_the_context_of_the_declared_family(tmp_path):
    """More cells of other depths at another budget do not take its place."""
    write(tmp_path, GRID, study=ONE, steps=920)
    write(tmp_path, GRID | {("none", depth): [0.5] * 3 for depth in (20, 32)}, steps=230)
    found = answer(tmp_path, "toy")
    assert found.badges[0].where.startswith("at 920 steps")
    assert set(found.gaps.filter(steps=230)["main"]) == {False}


def test_cells_outside_the_declared_family_are_named(tmp_path):
    found = answer(write(tmp_path, GRID | {("none", 20): [0.5] * 3}, study=ONE), "toy")
    assert any("outside the declared family, and in no verdict: none 20" in note for note in found.notes)
    assert 20 not in set(found.gaps["depth"])


DAMAGED = {
    "torn": '{"schema": 1, "delta": 90.0, "lo',
    "schema": '{"schema": 2, "delta": 5.0}',
    "delta": '{"schema": 1, "delta": -1}',
    "text": '{"schema": 1, "delta": "0.25"}',
    "looks": '{"schema": 1, "looks": []}',
    "no list": '{"schema": 1, "looks": 3}',
    "floats": '{"schema": 1, "looks": [3.0]}',
    "letters": '{"schema": 1, "shortcuts": "none"}',
    "twice": '{"schema": 1, "depths": [8, 8, 56]}',
    "seeds": '{"schema": 1, "tuning_seeds": [-1]}',
    "question": '{"schema": 1, "question": 5}',
    "not a number": '{"schema": 1, "delta": NaN}',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_declaration_is_a_sentence_and_never_replaced(tmp_path, damage):
    write(tmp_path, GRID, study=ONE)
    path = tmp_path / "experiments/toy/study.json"
    path.write_text(DAMAGED[damage])
    with pytest.raises(ValueError, match=r"the declaration .*study\.json cannot be used"):
        answer(tmp_path, "toy")
    with pytest.raises(ValueError, match="cannot be used"):
        declare(tmp_path, "toy", Study())
    assert path.read_text() == DAMAGED[damage]


def test_digits_are_never_held_against_cifar_numbers(tmp_path):
    runs = answer(write(tmp_path, GRID), "toy").runs
    assert set(beside(runs, "he2015")["verdict"]) == {"no run of ours"}


@pytest.mark.parametrize("name", VALUES)
def test_published_values_lie_in_their_own_bands(name):
    for value in VALUES[name]:
        if value.published is not None and value.band is not None:
            assert value.band[0] <= value.published <= value.band[1]
        assert value.source.startswith("He 201")


def test_the_first_declaration_holds(tmp_path):
    first = Study(question="q", delta=0.5, looks=(4,), depths=(8, 20))
    assert declare(tmp_path, "toy", first) == first
    assert declare(tmp_path, "toy", Study(delta=9.0)) == first
    assert read_study(tmp_path, "toy") == first
    assert read_study(tmp_path, "other") == Study()


def test_curves_of_the_ends_only(tmp_path):
    write(tmp_path, GRID | {("none", 20): [0.01] * 3}, study=ONE)
    for folder in (tmp_path / "runs").glob("*/seed=0"):
        rows = [{"step": step, "attempt": 1, "train/error": 0.9 - step / 1000, "lr": 0.1} for step in (0, 115, 230)]
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 2')
    found = curves(answer(tmp_path, "toy"))
    assert sorted(set(found["depth"])) == [8, 56]
    assert len(found) == 4 * 3
    assert found.filter(step=115)["error"].to_list() == pytest.approx([0.785] * 4)


def test_unknown_experiments_name_the_known_ones(tmp_path):
    write(tmp_path, GRID)
    with pytest.raises(ValueError, match="it has toy"):
        answer(tmp_path, "tox")
