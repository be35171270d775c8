"""Tables from records, against numbers worked out by hand."""

import json
import math

import polars as pl
import pytest

from reslab.analysis.table import AXES, ambiguous, cells, differences, gaps, runs, varying

BASE = {name: "x" for name in AXES} | {"depth": 20, "width": 16, "lr": 0.1, "steps": 10, "batch": 8}
BASE |= {"classes": 10, "params": 5, "norm_params": 1, "macs": 7, "overrides": []}


@pytest.fixture
def outputs(tmp_path):
    """plain 20 and 56, identity 20; one diverged, one failed, one planned only."""
    plan = tmp_path / "experiments" / "toy" / "plan.jsonl"
    plan.parent.mkdir(parents=True)
    made = {
        ("none", 20): [0.10, 0.20, 0.30],
        ("none", 56): [0.50, "diverged", "failed"],
        ("identity", 20): [0.0, 0.0, "planned"],
    }
    lines = []
    for (shortcut, depth), values in made.items():
        for seed, value in enumerate(values):
            folder = tmp_path / "runs" / f"{shortcut}-{depth}" / f"seed={seed}"
            folder.mkdir(parents=True)
            cell = f"{shortcut}{depth}"
            entry = BASE | {"cell": cell, "seed": seed, "label": cell, "folder": str(folder)}
            lines.append(json.dumps(entry | {"shortcut": shortcut, "depth": depth}))
            if value == "planned":
                continue
            result = {"outcome": value if isinstance(value, str) else "trained", "hardware": {"threads": 1 + seed}}
            if isinstance(value, float):
                score = {"error": value, "cross_entropy": 2 * value, "errors": 1, "n": 10}
                result |= {"train": score, "test": score}
            (folder / "result.json").write_text(json.dumps(result))
    plan.write_text("\n".join(lines) + "\n{torn")
    return tmp_path


def test_one_row_per_planned_run(outputs):
    table = runs(outputs, "toy")
    assert len(table) == 9
    assert table["state"].to_list().count("new") == 1
    assert table["state"].to_list().count("failed") == 1


def test_a_diverged_run_counts_as_chance(outputs):
    table = runs(outputs, "toy")
    (error,) = table.filter(outcome="diverged")["train_error"].to_list()
    assert error == 0.9
    assert table.filter(outcome="failed")["train_error"].to_list() == [None]


def test_cells_by_hand(outputs):
    table = {row["cell"]: row for row in cells(runs(outputs)).iter_rows(named=True)}
    plain = table["none20"]
    assert plain["n"] == 3
    assert plain["train_error_mean"] == pytest.approx(0.2)
    assert plain["train_error_sd"] == pytest.approx(0.1)
    assert plain["train_cross_entropy_mean"] == pytest.approx(0.4)
    deep = table["none56"]
    assert deep["n"] == 2
    assert deep["train_error_mean"] == pytest.approx((0.5 + 0.9) / 2)
    assert deep["train_error_sd"] == pytest.approx(math.sqrt(0.08))
    assert sorted(deep["outcomes"].split(", ")) == ["1 diverged", "1 failed", "1 trained"]
    assert sorted(table["identity20"]["outcomes"].split(", ")) == ["1 new", "2 trained"]


def test_gaps_compare_within_a_shortcut_only(outputs):
    (row,) = gaps(cells(runs(outputs, "toy"))).iter_rows(named=True)
    assert (row["shortcut"], row["depth"], row["depth_shallower"]) == ("none", 56, 20)
    assert row["gap"] == pytest.approx(0.5)


def test_cells_that_no_column_tells_apart_are_not_compared(outputs):
    """A second plain-20 of another momentum: is 56 to be compared with the one or the other?"""
    table = cells(runs(outputs, "toy"))
    twin = table.filter(cell="none20").with_columns(cell=pl.lit("other momentum"))
    assert not ambiguous(table).any()
    assert sorted(pl.concat([table, twin]).filter(ambiguous(pl.concat([table, twin])))["cell"]) == [
        "none20",
        "other momentum",
    ]
    assert gaps(pl.concat([table, twin])).is_empty()


def test_only_what_varies_is_shown(outputs):
    assert varying(runs(outputs, "toy")) == ["shortcut", "depth"]


def test_differences_beside_the_settings_are_told(outputs):
    (said,) = differences(runs(outputs, "toy"))
    assert "threads (1, 2, 3)" in said


def test_an_unknown_experiment_lists_the_known_ones(outputs):
    with pytest.raises(ValueError, match=r"no runs of experiment=other.*it has toy.*reslab train experiment=other"):
        runs(outputs, "other")
