"""`reslab bench part=packing`, with a list of GPUs and fake trainings: what it compares, and what it refuses."""

import contextlib
import os

import pytest

from reslab.commands.bench import main
from reslab.launch import gpus, resources
from reslab.launch.bench import fake, packing, runs
from reslab.launch.bench.packing import Packed
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.runs.folder import read_json

SMALL = {"depth": 8, "width": 4, "rows": 32, "batch": 16, "runs": 4, "steps": 6, "repeats": 1}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Two GPUs, locks of its own, trainings that take a moment and train nothing."""
    monkeypatch.setattr(resources, "gpu_names", lambda: os.environ.get(packing.VISIBLE, "0,1").split(","))
    monkeypatch.delenv(packing.VISIBLE, raising=False)
    monkeypatch.setattr(gpus, "lock_folder", lambda: tmp_path / "locks")
    monkeypatch.setattr(runs, "Timed", lambda: fake.Training(0.1))
    monkeypatch.chdir(tmp_path)


def asked(**changes):
    return resolve_verb(compose("bench", [f"packing.{name}={value}" for name, value in changes.items()])[0])


def test_a_machine_without_gpus_is_told_what_works(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "gpu_names", lambda: [])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no NVIDIA GPU is to be seen here; part=runs measures"):
        main(["part=packing"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"runs_per_gpu": "[2,4]"}, r"packing.runs_per_gpu=\[2, 4\] compares nothing with one run a GPU"),
        ({"runs_per_gpu": "[1]"}, "compares nothing"),
        ({"runs_per_gpu": "[]"}, "compares nothing"),
        ({"runs_per_gpu": "[1,2,2]"}, "compares nothing"),
        ({"runs_per_gpu": "[1,0]"}, "packing.runs_per_gpu=0 is not an integer of at least 1"),
        ({"runs": 4}, "packing.runs=4 runs are fewer than 8 on a GPU; use 8 or more"),
        ({"steps": 0}, "packing.steps=0"),
        ({"repeats": 0}, "packing.repeats=0"),
        ({"rows": 100}, "packing.rows=100 is not an integer of at least 128"),
        ({"depth": 21}, r"packing.depth=21 is no depth of 6n \+ 2 layers"),
    ],
)
def test_what_cannot_be_measured_is_refused(machine, changes, said):
    with pytest.raises(ValueError, match=said):
        packing.check(asked(**changes))


def test_what_is_asked_for_by_default_can_be_measured(machine):
    packing.check(asked())


@pytest.mark.parametrize("mps", [True, False])
def test_the_figures_by_hand(machine, monkeypatch, mps):
    """Eight runs in 40 s, or in 16 s by four, or in 20 s by eight: the best number counts for the target."""
    found = {
        count: [Packed(8, seconds * noise, 5.0 * count, 100_000 / count, "a GPU") for noise in (1.0, 1.1, 0.9)]
        for count, seconds in ((1, 40.0), (4, 16.0), (8, 20.0))
    }
    measured = packing.conclude(found, "8 runs")
    assert [figure.value for figure in measured.figures] == pytest.approx([720, 1800, 1440, 2.5])
    assert [figure.least for figure in measured.figures] == [None, None, None, 2.0]
    assert "4 on a GPU over 1" in measured.figures[-1].name
    (sheet,) = measured.sheets
    assert sheet.rows[1] == ("4", "16.0", "1,800", "2.50", "20.0", "25,000")
    assert "a GPU" in sheet.title


@pytest.mark.parametrize("mps", ["on", "off"])
def test_a_sweep_at_each_number_of_runs(machine, monkeypatch, tmp_path, mps):
    monkeypatch.setattr(resources, "mps", lambda: mps == "on")
    words = [f"packing.{name}={value}" for name, value in (SMALL | {"runs_per_gpu": "[1,4]"}).items()]
    assert main(["part=packing", *words, f"results={tmp_path / 'results'}"]) in (0, 1)
    made = read_json(tmp_path / "results" / "packing.json")
    (sheet,) = made["tables"]
    assert [row[0] for row in sheet["rows"]] == ["1", "4"]
    assert f"MPS {mps}" in sheet["title"]
    assert all(f"MPS {mps}" in figure["name"] for figure in made["figures"])
    alone, together, gain = (figure["value"] for figure in made["figures"])
    assert 1 < gain == pytest.approx(together / alone)
    assert alone < 4 * 3600 / (4 * 0.1), "one after another they sleep for 0.4 s"
    assert made["packing"]["runs"] == 4
    assert packing.VISIBLE not in os.environ


def test_a_run_that_ends_early_is_no_measurement(machine, tmp_path):
    words = (*packing.FIXED, "data.rows={train: 32, test: 64}", "depth=8", "recipe.batch=16", "recipe.steps=6")
    with packing.first_gpu(), pytest.raises(RuntimeError, match="ended at step 6 of 7"):
        packing.packed(tmp_path / "outputs", 2, 2, words, 7)


def test_another_command_on_the_gpu_ends_it(machine, tmp_path):
    with contextlib.ExitStack() as other:
        assert gpus.take(1, other) == "0"
        with pytest.raises(RuntimeError, match="another command holds the GPU"):
            packing.measure(**SMALL, runs_per_gpu=[1, 2], folder=tmp_path / "outputs")
    assert packing.VISIBLE not in os.environ
