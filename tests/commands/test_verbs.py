"""report and evaluate, and what the command says of nonsense."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from omegaconf import OmegaConf

from reslab.commands import evaluate, main, report
from reslab.launch.freeze import Job
from reslab.launch.paths import conf_folder
from reslab.runs.folder import read_json
from settings import SMALL


def test_report_writes_what_it_says(train, capsys):
    assert train("-m", *SMALL, "shortcut=none,identity", "depth=8,14", "seed=0,1") == 0
    capsys.readouterr()
    assert report.main(["experiment=adhoc"]) == 0
    said = capsys.readouterr().out
    assert "8 of 8 runs" in said
    assert "plain" in said
    assert "(none)" not in said
    for badge in ("WHETHER", "WHEN", "WHY"):
        assert badge in said
    folder = Path("outputs/reports/adhoc")
    assert str((folder / "report.html").absolute()) in said
    for below in ("tables", "figures"):
        files = list((folder / below).iterdir())
        assert f"{(folder / below).absolute()}/ ({len(files)} files)" in said
    table = pl.read_csv(folder / "tables/runs.csv")
    assert len(table) == 8
    for row in table.iter_rows(named=True):
        assert row["train_error"] == read_json(Path(row["folder"]) / "result.json")["train"]["error"]
    by_hand = table.filter(shortcut="none", depth=14)["counted_error"].mean()
    by_hand -= table.filter(shortcut="none", depth=8)["counted_error"].mean()
    gap = pl.read_csv(folder / "tables/gaps.csv").filter(shortcut="none")["gap_points"].item()
    assert gap == pytest.approx(100 * by_hand)
    assert (folder / "figures/depth.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "figures/depth.svg").read_text().startswith("<svg")


def test_publishing_copies_the_record_without_local_paths(train, tmp_path):
    assert train(*SMALL) == 0
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=tmp_path, check=True)
    assert report.main(["experiment=adhoc", "publish=true"]) == 0
    for name in ("results.csv", "README.md"):
        assert str(tmp_path) not in Path("experiments/adhoc", name).read_text()
    assert Path("experiments/adhoc/figures/depth.png").exists()


def test_report_of_a_partial_experiment(train, capsys):
    """Planned but not run: says so, claims nothing, names the command."""
    from reslab.launch.compose import compose
    from reslab.launch.freeze import Freezer
    from reslab.launch.sweep import write_plan

    composed, choices = compose("train", [*SMALL])
    made: Job = Freezer("reslab train").job(composed, choices, ())
    write_plan([made])
    assert report.main(["experiment=adhoc"]) == 0
    said = capsys.readouterr().out
    assert "0 of 1 runs" in said
    assert "1 not started" in said
    assert "next: reslab train" in said  # adhoc has no command of its own: the one that planned the run
    assert not list(Path("outputs/reports/adhoc/figures").iterdir())


def test_report_loads_what_draws_only_when_there_are_records():
    code = "import sys; from reslab.commands import report; print({'altair', 'vl_convert', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture
def copied(finished_run, tmp_path):
    return Path(shutil.copytree(finished_run, tmp_path / "copied"))


def test_evaluate_measures_what_was_recorded(copied, capsys):
    assert evaluate.main([f"run={copied}"]) == 0
    recorded = read_json(copied / "result.json")
    measured = json.loads((copied / "evaluations/digits.json").read_text())
    for part in ("train", "validation", "test"):
        assert measured[part]["errors"] == recorded[part]["errors"]
        assert measured[part]["cross_entropy"] == pytest.approx(recorded[part]["cross_entropy"], rel=1e-6)
    assert "evaluations/digits.json" in capsys.readouterr().out


def test_evaluate_on_other_data(copied):
    other = ["data=synthetic", "data.channels=1", "data.classes=10"]
    assert evaluate.main([f"run={copied}", *other]) == 0
    assert json.loads((copied / "evaluations/synthetic.json").read_text())["test"]["n"] == 64


def test_evaluate_refuses_data_of_another_kind(copied):
    with pytest.raises(ValueError, match=r"data\.channels=1, the new data have 3"):
        evaluate.main([f"run={copied}", "data=synthetic"])


def test_evaluate_does_not_trust_what_a_folder_asks_for(copied):
    import torch

    state = torch.load(copied / "checkpoints/last.ckpt", weights_only=True)
    state["config"]["act"] = {"_target_": "os.getcwd", "_partial_": True}
    state["config"]["trust"] = ["os"]
    torch.save(state, copied / "checkpoints/last.ckpt")
    with pytest.raises(ValueError, match=r"os\.getcwd is not trusted"):
        evaluate.main([f"run={copied}"])


def test_final_checkpoint_loads_with_weights_only(finished_run):
    import torch

    state = torch.load(finished_run / "checkpoints/last.ckpt", weights_only=True)
    assert set(state) == {"schema", "state_dict", "normalisation", "config"}
    assert [p.name for p in (finished_run / "checkpoints").iterdir()] == ["last.ckpt"]
    json.dumps(state["config"])


def test_every_record_has_a_schema(finished_run):
    for name in ("status.json", "result.json"):
        assert read_json(finished_run / name)["schema"] == 1
    for line in (finished_run / "metrics.jsonl").read_text().splitlines():
        assert json.loads(line)["schema"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tain"], "did you mean train?"),
        (["report"], "experiment=..."),
        (["report", "experiment=nope"], "no runs of experiment=nope"),
        (["evaluate", "run=/nowhere"], "/nowhere does not exist"),
        (["train", "depth=21"], "nearest valid depths are 20 and 26"),
    ],
)
def test_nonsense_is_answered_with_a_sentence(words, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "reslab", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", sorted(set(main.VERBS) - set(main.HYDRA_HELPS)))
def test_help_of_a_verb_is_what_its_config_says(verb, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["reslab", verb, "--help"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"reslab {verb}: {main.VERBS[verb]}")
    assert "hydra:" not in said
    file = conf_folder() / f"{verb}.yaml"
    for key in OmegaConf.load(file) if file.exists() else ():
        assert (f"\n{key}:" in said) is (key not in ("hydra", "defaults"))
    assert ("probe=linear\n# Linear probes" in said) is (verb == "probe")


def test_help_lists_the_verbs(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["reslab"])
    with pytest.raises(SystemExit):
        main.main()
    said = capsys.readouterr().out
    for verb in main.VERBS:
        assert verb in said
