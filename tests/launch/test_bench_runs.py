"""`reslab bench part=runs`: parts of a run add up, real runs are timed by the engine, wrong words are refused."""

import json
from dataclasses import fields

import pytest

from reslab.commands.bench import PARTS, main
from reslab.launch.bench import grid, runs, watch
from reslab.launch.bench.watch import Parts
from reslab.runs.folder import read_json

RESULT = {
    "times": {"build": 0.1, "open": 0.2, "fit": 3.0, "evaluate": 0.4, "close": 0.05},
    "samples": 1280,
    "images_per_second": 640.0,
}
ZERO = {one.name: 0.0 for one in fields(Parts)}


def test_the_parts_are_what_passes_beside_the_steps():
    """Asked for at 10, ended at 14.5 seen from the parent, 2 of it in steps."""
    cost = watch.parts(RESULT, {"asked": 10.0, "entered": 10.25, "scored": 0.5}, 14.5)
    expected = Parts(start=0.25, build=0.1, open=0.2, fit=0.5, scores=0.9, close=0.05, rest=0.5)
    for one in fields(Parts):
        assert getattr(cost, one.name) == pytest.approx(getattr(expected, one.name)), one.name
    assert cost.whole == pytest.approx(14.5 - 10 - 2)
    assert cost.fixed == pytest.approx(cost.whole - 0.9)


def test_the_middle_is_one_of_the_runs():
    costs = [Parts(**ZERO | {"start": start}) for start in (3.0, 1.0, 2.0)]
    assert watch.middle(costs) is costs[2]
    assert watch.middle(costs[:2]) is costs[0]


def test_ratios_are_of_pairs():
    assert runs.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 2.0]) == 2.0


def test_a_run_that_fails_ends_the_bench(tmp_path):
    job, ends = grid.jobs(1, tmp_path)[0], runs.Ends()
    ends.finished(job, "at_chance", "", 1.0)
    assert list(ends.at) == [(job.cell, job.seed)]
    with pytest.raises(RuntimeError, match="failed: why"):
        ends.finished(job, "failed", "why", 1.0)


@pytest.mark.real("bench of runs, through the engine, W&B offline")
def test_real_runs_are_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["part=runs", "depths=[8]", "seeds=1", "steps=4", "repeats=1", f"results={tmp_path / 'results'}"]
    assert main(asked) in (0, 1)  # targets are for machines that do nothing else
    found = read_json(tmp_path / "results" / "runs.json")
    assert (found["depths"], found["seeds"], found["steps"], found["repeats"]) == ([8], 1, 4, 1)
    (sheet,) = found["tables"]
    assert sheet["columns"] == ["depth", *(one.name for one in fields(Parts)), "whole"]
    (row,) = sheet["rows"]
    values = [float(value) for value in row[1:]]
    assert min(values) > 0
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.005)
    assert [figure["unit"] for figure in found["figures"]] == ["s"] * 7 + ["x", "x", "runs per hour"]
    assert all(figure["value"] > 0 for figure in found["figures"])
    assert json.loads((tmp_path / "results" / "runs.json").read_text())["part"] == "runs"
    assert "whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seeds=0", "seeds=0 measures nothing"),
        ("steps=0", "steps=0"),
        ("depths=[]", r"depths=\[\] are not"),
        ("depths=[8,8]", r"depths=\[8, 8\] are not different depths"),
        ("depths=[9]", r"depths=\[9\] are not depths of 6n"),
    ],
)
def test_what_measures_nothing_is_refused(tmp_path, word, said):
    with pytest.raises(ValueError, match=said):
        main(["part=runs", word, f"outputs={tmp_path}"])
    assert "runs" in PARTS
