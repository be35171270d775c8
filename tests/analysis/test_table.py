"""Tables from records, against numbers worked out by hand."""

import json
import math

import polars as pl
import pytest

from analysis.records import write
from reslab.analysis.table import ambiguous, cells, differences, runs, varying


@pytest.fixture
def outputs(tmp_path):
    """plain 20 and 56, identity 20; one diverged, one failed, one planned only; a torn last line."""
    made = {
        ("none", 20): [0.10, 0.20, 0.30],
        ("none", 56): [0.50, "diverged", "failed"],
        ("identity", 20): [0.0, 0.0, "planned"],
    }
    write(tmp_path, made)
    for seed in (0, 1, 2):
        path = tmp_path / "runs" / "none20" / f"seed={seed}" / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"hardware": {"threads": 1 + seed}}))
    with (tmp_path / "experiments/toy/plan.jsonl").open("a") as file:
        file.write("{torn")
    return tmp_path


def test_one_row_per_planned_run(outputs):
    table = runs(outputs, "toy")
    assert len(table) == 9
    assert table["state"].to_list().count("new") == 1
    assert table["state"].to_list().count("failed") == 1


def test_a_diverged_or_failed_run_counts_as_chance(outputs):
    table = runs(outputs, "toy")
    for outcome in ("diverged", "failed"):
        (error,) = table.filter(outcome=outcome)["counted_error"].to_list()
        assert error == 0.9
    assert table.filter(outcome="failed")["train_error"].to_list() == [None]
    assert table.filter(state="new")["counted_error"].to_list() == [None]


def test_cells_by_hand(outputs):
    table = {f"{row['shortcut']}{row['depth']}": row for row in cells(runs(outputs)).iter_rows(named=True)}
    plain = table["none20"]
    assert plain["n"] == 3
    assert plain["train_error_mean"] == pytest.approx(0.2)
    assert plain["train_error_sd"] == pytest.approx(0.1)
    assert plain["train_cross_entropy_mean"] == pytest.approx(0.4)
    deep = table["none56"]
    assert (deep["n"], deep["failures"]) == (3, 2)
    assert deep["train_error_mean"] == pytest.approx((0.5 + 0.9 + 0.9) / 3)
    assert deep["train_error_sd"] == pytest.approx(math.sqrt(0.16 / 3))
    assert sorted(deep["outcomes"].split(", ")) == ["1 diverged", "1 failed", "1 trained"]
    assert sorted(table["identity20"]["outcomes"].split(", ")) == ["1 new", "2 trained"]


def test_cells_that_no_column_tells_apart_are_not_compared(outputs):
    """A second plain-20 of another momentum: is 56 to be compared with the one or the other?"""
    table = cells(runs(outputs, "toy"))
    twin = table.filter(shortcut="none", depth=20).with_columns(cell=pl.lit("other momentum"))
    assert not ambiguous(table).any()
    both = pl.concat([table, twin])
    assert len(both.filter(ambiguous(both), shortcut="none", depth=20)) == ambiguous(both).sum() == 2


def test_edited_folders_are_in_no_number(outputs):
    path = outputs / "runs/none20/seed=1/config.yaml"
    path.write_text(path.read_text().replace("depth: 20", "depth: 56"))
    (row,) = runs(outputs).filter(label="none20", seed=1).iter_rows(named=True)
    assert (row["state"], row["counted_error"]) == ("edited", None)
    assert "was edited" in row["problem"]
    table = cells(runs(outputs)).filter(shortcut="none", depth=20)
    assert table["n"].to_list() == [2]
    assert table["train_error_mean"].item() == pytest.approx(0.2)
    assert "1 edited" in table["outcomes"].item()


def test_a_run_without_steps_in_its_last_attempt_says_nothing_of_speed(outputs):
    for seed, speed in enumerate((100.0, 0.0, 300.0)):
        path = outputs / f"runs/none20/seed={seed}/result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"images_per_second": speed}))
    assert runs(outputs).filter(label="none20").sort("seed")["images_per_second"].to_list() == [100.0, None, 300.0]
    assert cells(runs(outputs)).filter(shortcut="none", depth=20)["images_per_second"].item() == 200.0


NAMES = ("hardware", "times", "versions", "train", "test", "images_per_second", "params", "commit", "step", "outcome")
ODD = [
    (name, value)
    for name in NAMES
    for value in (None, "x", 5, True, ["x"], {"fit": "x"})
    if (name, value)
    not in (
        ("commit", "x"),
        ("step", 5),
        ("params", 5),
        ("images_per_second", 5),
        ("versions", {"fit": "x"}),
        ("hardware", {"fit": "x"}),
    )
]
ODD += [("train", {"error": -0.5, "errors": -500, "n": 1000}), ("train", {"error": 5.0, "errors": 5000, "n": 1000})]
ODD += [("hardware", {"threads": "x"}), ("hardware", {"device": [1]}), ("reason", {"a": 1}), ("outcome", "weird")]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_a_result_that_does_not_hold_what_it_should_is_in_no_number(outputs, name, value):
    path = outputs / "runs/none20/seed=1/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    table = runs(outputs)
    (row,) = table.filter(label="none20", seed=1).iter_rows(named=True)
    assert (row["state"], row["outcome"], row["counted_error"], row["failure"]) == ("edited", None, None, False)
    assert row["problem"].startswith(f"result.json has {name}=")
    assert cells(table).filter(shortcut="none", depth=20)["n"].to_list() == [2]


@pytest.mark.parametrize("name", ["outcome", "train"])
def test_a_result_that_lacks_what_it_needs_is_in_no_number(outputs, name):
    path = outputs / "runs/none20/seed=1/result.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != name}))
    (row,) = runs(outputs).filter(label="none20", seed=1).iter_rows(named=True)
    assert (row["state"], row["failure"], row["problem"]) == (
        "edited",
        False,
        f"result.json lacks {name}: it was edited",
    )


@pytest.mark.parametrize(
    ("name", "swap"), [("shortcut", {"none": "identity", "identity": "none"}), ("depth", {20: 56, 56: 20})]
)
def test_runs_of_an_edited_plan_are_in_no_number(outputs, name, swap):
    path = outputs / "experiments/toy/plan.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()[:-1]]
    path.write_text("".join(json.dumps(line | {name: swap[line[name]]}) + "\n" for line in lines))
    table = runs(outputs)
    assert set(table["state"]) == {"edited", "new"}
    assert table["counted_error"].to_list() == [None] * 9
    assert f"config.yaml has {name}=" in table["problem"][0]


def test_a_result_of_another_run_or_schema_is_in_no_number(outputs):
    copied = (outputs / "runs/none20/seed=0/result.json").read_text()
    (outputs / "runs/none20/seed=1/result.json").write_text(copied)
    other = outputs / "runs/none20/seed=2/result.json"
    other.write_text(json.dumps(json.loads(other.read_text()) | {"schema": 99}))
    found = runs(outputs).filter(label="none20").sort("seed")
    assert found["state"].to_list() == ["ended", "edited", "other schema"]
    assert found["counted_error"].to_list() == [0.1, None, None]


def test_only_what_varies_is_shown(outputs):
    assert varying(runs(outputs, "toy")) == ["shortcut", "depth"]


def test_differences_beside_the_settings_are_told(outputs):
    (said,) = differences(runs(outputs, "toy"))
    assert "threads (1, 2, 3)" in said


def test_an_unknown_experiment_lists_the_known_ones(outputs):
    with pytest.raises(ValueError, match=r"no runs of experiment=other in .*; it has toy$"):
        runs(outputs, "other")
    with pytest.raises(ValueError, match=r"no runs of experiment=toi in .*; it has toy; did you mean toy\?"):
        runs(outputs, "toi")


@pytest.mark.parametrize("text", ["", "\n", '{"schema": 1, "cell": "ab'])
def test_a_plan_without_runs(outputs, text):
    (outputs / "experiments/toy/plan.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"experiment=toy has a plan without runs \(.*plan.jsonl\).*reslab train"):
        runs(outputs, "toy")
