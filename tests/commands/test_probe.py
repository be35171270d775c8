"""`reslab probe`: a small grid at initialisation from the command line to the files; what is refused."""

import shutil

import polars as pl
import pytest
import torch

from reslab import api
from reslab.commands.main import main as entry
from reslab.commands.probe import _where, main
from reslab.launch.probing.init import smooth_images
from reslab.probes.signal import signal_propagation
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.studies import read_study

SMALL = ("depth=8", "shortcut=none,identity", "order=post", "norm=batch", "seed=0", "images=16")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_grid_is_measured_drawn_and_answered(here, capsys):
    assert main(["probe=init", *SMALL]) == 0
    folder = here / "outputs/probes/init"
    readings, ratios = pl.read_parquet(folder / "readings.parquet"), pl.read_csv(folder / "ratios.csv")
    assert ratios["shortcut"].to_list() == ["none", "identity"]
    assert set(readings["probe"]) == {"signal_propagation/train", "branch_ratio/train"}
    assert {file.suffix for file in (folder / "figures").iterdir()} == {".png", ".svg"}
    said = capsys.readouterr().out
    assert "order=post, norm=batch, depth 8" in " ".join(said.split())
    assert "reslab train" in said


def test_a_net_of_the_grid_is_the_net_of_the_same_overrides(here):
    main(["probe=init", *SMALL])
    readings = pl.read_parquet(here / "outputs/probes/init/readings.parquet")
    net = api.net("data=cifar10", "shortcut=identity", "depth=8", seed=0)
    alone = signal_propagation(net, smooth_images(16, 3, 32, classes=10, seed=0), bn="train")
    own = readings.filter(shortcut="identity", probe="signal_propagation/train")
    assert own["layer"].to_list() == [row.layer for row in alone]
    assert own["value"].to_list() == pytest.approx([row.value for row in alone], rel=1e-2)


def test_images_are_smooth_standardised_and_the_same_for_a_seed():
    batch = smooth_images(64, 3, 32, classes=10, seed=1)
    again = smooth_images(64, 3, 32, classes=10, seed=1)
    assert torch.equal(batch.images, again.images)
    assert not torch.equal(batch.images, smooth_images(64, 3, 32, classes=10, seed=2).images)
    variance, mean = torch.var_mean(batch.images, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(variance, torch.ones(3), atol=1e-5, rtol=0)
    steps = (batch.images[..., 1:] - batch.images[..., :-1]).square().mean()
    assert steps < 1.2  # independent pixels would give 2
    assert set(batch.labels.tolist()) == set(range(10))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["depth=20,21"], "depth 21 is not 6n + 2"),
        (["shortcut=none,identiti"], "did you mean identity?"),
        (["depth=[]"], "depth=[] leaves no net"),
        (["depth=abc"], "depth=abc is not an integer"),
        (["seed=0,0"], "seed=0 stands twice"),
        (["seed=-1"], "seed=-1 is not an integer of at least 0"),
        (["images=1"], "images=1 is too few"),
        (["dept=20"], "did you mean depth?"),
        (["probe=inti"], "did you mean init?"),
        (["run=outputs/runs/x/seed=0"], "probe=init measures no run"),
    ],
)
def test_a_bad_grid_is_refused_before_any_work(here, monkeypatch, capsys, words, said):
    monkeypatch.setattr("sys.argv", ["reslab", "probe", *words])
    with pytest.raises(SystemExit) as left:
        entry()
    assert left.value.code == 2
    assert said in capsys.readouterr().err
    assert not (here / "outputs").exists()


def test_a_lesion_study_of_a_finished_run(finished_run, tmp_path, capsys):
    run = tmp_path / "outputs/runs/cell/seed=0"
    shutil.copytree(finished_run, run)
    weights = (run / "checkpoints/last.ckpt").read_bytes()
    assert main([f"run={run}", "probe=lesion", "draws=2", "images=50", "fresh_images=64", "seed=1"]) == 0
    rows = read_study(RunFolder(run), "lesion")
    assert set(rows["lesion"]) == {"intact", "unit", "number"}  # one unit a stage: none can change places
    assert set(rows["statistics"]) == {"raw", "retaken"}
    assert set(rows["images"]) == {50}
    assert (run / "checkpoints/last.ckpt").read_bytes() == weights
    record = read_json(run / "probes/lesion.json")
    assert (record["draws"], record["seed"]) == (2, 1)
    again = rows
    said = " ".join(capsys.readouterr().out.split())
    assert f"no plan in {tmp_path / 'outputs'} has this run" in said
    assert main([f"run={run}", "probe=lesion", "draws=2", "images=50", "fresh_images=64", "seed=1"]) == 0
    assert read_study(RunFolder(run), "lesion").equals(again)
    assert "one unit deleted" in capsys.readouterr().out


def test_the_reports_of_a_studied_run_are_named(finished_run, tmp_path, monkeypatch):
    outputs = tmp_path / "outputs"
    shutil.copytree(finished_run.parents[2], outputs)
    run = RunFolder(outputs / finished_run.relative_to(finished_run.parents[2]))
    plans = outputs / "experiments"
    monkeypatch.chdir(tmp_path)
    assert _where(run) == "the figure is in: reslab report experiment=adhoc"
    shutil.copytree(plans / "adhoc", plans / "second")
    (plans / "other").mkdir()
    (plans / "other/plan.jsonl").write_text('{"schema": 2}\n')
    monkeypatch.chdir(tmp_path.parent)
    words = f"outputs={outputs}"
    assert _where(run) == (
        f"the figure is in: reslab report experiment=adhoc {words} and reslab report experiment=second {words}"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["probe=lesion"], "probe=lesion studies a finished run"),
        (["probe=lesion", "run=nowhere"], "does not exist"),
        (["probe=lesion", "run=nowhere", "draws=0"], "draws=0 is not an integer of at least 1"),
        (["probe=lesion", "depth=20"], "unknown key 'depth'"),
    ],
)
def test_a_lesion_study_that_cannot_be(here, words, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["reslab", "probe", *words])
    with pytest.raises(SystemExit) as left:
        entry()
    assert left.value.code == 2
    assert said in capsys.readouterr().err
