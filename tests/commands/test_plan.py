"""`reslab plan`: the runs of `train`, with a time where a record gives one, for people and for programs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reslab.commands.plan import main as plan
from reslab.runs.folder import read_json, write_json
from settings import SMALL

OWN = """
from dataclasses import replace
from torch import nn
from reslab.specs import Layer


def own(span):
    pool = Layer(lambda: nn.AvgPool2d(span.stride), stride=span.stride)
    return (pool, replace(span, stride=1)) if span.changes_shape else ()
"""
KEYS = {"state", "cell", "label", "seed", "folder", "params", "macs", "steps", "seconds", "estimated_from", "command"}


@pytest.fixture
def listed(train, capsys):
    """`reslab plan ... format=json` as a list, in a folder of its own."""

    def call(*words):
        capsys.readouterr()
        assert plan([*words, "format=json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_no_record_no_number(train, capsys, listed):
    (run,) = listed(*SMALL)
    assert set(run) == KEYS
    assert run["state"] == "new"
    assert run["seconds"] is None
    assert run["estimated_from"] is None
    assert plan([*SMALL]) == 0
    said = capsys.readouterr().out
    assert "no recorded speed yet: no estimate" in said
    assert "~" not in said


def test_json_and_text_tell_the_same_runs(train, capsys, listed):
    words = ["shortcut=none,identity", "depth=8,20", "seed=0,1"]
    runs = listed(*words)
    assert len({(run["cell"], run["seed"]) for run in runs}) == 8
    assert plan(words) == 0
    said = capsys.readouterr().out
    for run in runs:
        assert run["cell"][:8] in said
        assert f"{run['params']:,}" in said
        assert f"{run['macs']:,}" in said
    assert "to run them: reslab train shortcut=none,identity depth=8,20 seed=0,1" in said


def test_format_is_no_setting_of_a_run(listed):
    """With it the cells are those that `train` would make, and the commands do not repeat it."""
    (run,) = listed(*SMALL)
    from reslab.launch.compose import compose
    from reslab.launch.freeze import Freezer

    made = Freezer("test").job(*compose("train", [*SMALL]), ())
    assert (run["cell"], run["folder"]) == (made.cell, str(made.folder.path))
    assert "format" not in run["command"]


def test_the_command_of_a_run_makes_that_run(listed, train):
    runs = listed(*SMALL, "shortcut=none,identity")
    words = runs[1]["command"].split()
    assert words[:2] == ["reslab", "train"]
    assert train(*words[2:]) == 0
    assert read_json(Path(runs[1]["folder"]) / "result.json")["cell"] == runs[1]["cell"]
    assert [run["state"] for run in listed(*SMALL, "shortcut=none,identity")] == ["new", "done"]


def test_time_comes_from_recorded_runs(listed, train, capsys):
    assert train(*SMALL) == 0
    (done,) = listed(*SMALL)
    assert done["seconds"] == 0.0
    assert done["estimated_from"] is None
    result = read_json(Path(done["folder"]) / "result.json")
    runs = listed(*SMALL, "seed=1,2")
    spent = sum(result["times"].values())
    for run in runs:
        assert run["estimated_from"] == "the same cell"
        assert run["seconds"] == pytest.approx(spent, abs=0.06)
    assert plan([*SMALL, "seed=0,1,2", "jobs=1"]) == 0
    said = capsys.readouterr().out
    assert "done 1 · new 2" in said
    assert "2 runs, 1 at a time: about" in said
    assert "estimated from 1 recorded runs (the same cell)" in said
    (deep,) = listed(*SMALL, "depth=14")
    assert deep["estimated_from"] == "the nearest net, by MACs"


def test_an_interrupted_run_has_less_to_do(listed, train):
    """At a second per step; it goes on from its checkpoint at step 5, not from step 9."""
    assert train(*SMALL) == 0
    result = Path(listed(*SMALL)[0]["folder"]) / "result.json"
    times = {"build": 1.0, "open": 1.0, "close": 1.0, "fit": 12.0, "evaluate": 3.0}
    write_json(result, read_json(result) | {"images_per_second": 64.0, "times": times})
    (whole,) = listed(*SMALL, "seed=1")
    assert whole["seconds"] == 18.0
    folder = Path(whole["folder"])
    folder.mkdir()
    write_json(folder / "status.json", {"state": "interrupted", "step": 9, "steps": 12})
    (rest,) = listed(*SMALL, "seed=1")
    assert rest["state"] == "interrupted"
    assert rest["seconds"] == 18.0  # there is no checkpoint
    (folder / "checkpoints").mkdir()
    torch.save({"global_step": 5}, folder / "checkpoints/last.ckpt")
    (rest,) = listed(*SMALL, "seed=1")
    assert rest["seconds"] == 13.0


def test_runs_of_one_name_are_told_apart(train, capsys):
    assert plan([*SMALL, "recipe.lr=0.01,0.05", "recipe.steps=20,40"]) == 0
    heads, *rows = capsys.readouterr().out.splitlines()
    assert heads.split()[:5] == ["state", "run", "cell", "lr", "seed"]
    assert heads.split().count("steps") == 1
    assert [row.split()[3] for row in rows[:4]] == ["0.01", "0.05", "0.01", "0.05"]
    assert plan([*SMALL]) == 0
    assert " lr " not in capsys.readouterr().out


def test_a_part_of_ones_own_is_counted_by_the_runs_that_ended(listed, train, capsys, tmp_path, monkeypatch):
    (tmp_path / "ownlab.py").write_text(OWN)
    (tmp_path / "conf/shortcut").mkdir(parents=True)
    (tmp_path / "conf/shortcut/own.yaml").write_text("_target_: ownlab.own\n_partial_: true\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*SMALL, "shortcut=own", "trust=[ownlab]"]
    (run,) = listed(*words)
    assert (run["params"], run["macs"]) == (None, None)
    assert train(*words) == 0
    (run,) = listed(*words)
    assert run["params"] == read_json(Path(run["folder"]) / "result.json")["params"]
    assert run["macs"] is None
    assert plan([*words, "seed=0,1"]) == 0
    _, done, new, *said = capsys.readouterr().out.splitlines()
    assert f"{run['params']:,}" in done
    assert (done.count("?"), new.count("?")) == (2, 3)
    assert any("params are known once a run has ended" in line for line in said)


def test_other_threads_are_another_speed(listed, train):
    assert train(*SMALL) == 0
    (run,) = listed(*SMALL, "seed=1", "trainer.threads=2")
    assert run["seconds"] is None


@pytest.mark.parametrize("words", [["format=xml"], ["depth=21", "format=json"], ["fromat=json"]])
def test_nonsense_is_one_sentence_and_nothing_on_stdout(words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "reslab", "plan", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("reslab: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
