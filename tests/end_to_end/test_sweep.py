"""Sweeps: each run once, skipped when done, extended by seeds, never stopped by one failure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reslab.runs.folder import read_json
from settings import ROOT, SMALL


def results():
    return {
        str(p.parent.relative_to("outputs/runs")): read_json(p) for p in Path("outputs/runs").glob("*/*/result.json")
    }


def stamps():
    return {path: path.stat().st_mtime_ns for path in Path("outputs/runs").glob("*/*/result.json")}


def test_sweep_runs_all_then_nothing_then_only_new_seeds(train, capsys):
    grid = [*SMALL, "shortcut=none,identity"]
    assert train("-m", *grid, "seed=0,1") == 0
    said = capsys.readouterr().out
    assert "4 runs · 0 done · 4 to run" in said
    assert "wrote " in said
    assert "next: reslab report experiment=adhoc" in said
    before = stamps()
    assert len(before) == 4
    assert train("-m", *grid, "seed=0,1") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert stamps() == before
    assert train("-m", *grid, "seed=range(0,3)") == 0
    assert "6 runs · 4 done · 2 to run" in capsys.readouterr().out
    after = stamps()
    assert {path: after[path] for path in before} == before
    assert len(after) == 6


def test_other_settings_make_other_cells_and_logging_does_not(train, capsys):
    assert train(*SMALL) == 0
    assert train(*SMALL, "recipe.lr=0.05") == 0
    assert len(results()) == 2
    capsys.readouterr()
    assert train(*SMALL, "tracking=wandb", "tracking.mode=offline", "evaluation.points=1", "checkpoint_every=100") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_plain_and_identity_differ_in_one_thing(train):
    """What the two frozen configs differ in is the shortcut (and what is named after it)."""
    assert train("-m", *SMALL, "shortcut=none,identity") == 0
    from omegaconf import OmegaConf

    configs = [OmegaConf.to_container(OmegaConf.load(p)) for p in sorted(Path("outputs/runs").glob("*/*/config.yaml"))]
    differing = {key for key in configs[0] if configs[0][key] != configs[1][key]}
    assert differing == {"shortcut", "choices", "run"}
    assert {k for k in configs[0]["choices"] if configs[0]["choices"][k] != configs[1]["choices"][k]} == {"shortcut"}


def test_seed_0_repeats_bit_for_bit(train, tmp_path):
    assert train(*SMALL) == 0
    assert train(*SMALL, "outputs=again") == 0
    weights = [json.loads(p.read_text())["weights"] for p in tmp_path.glob("*/runs/*/*/result.json")]
    assert len(weights) == 2
    assert weights[0] == weights[1]


def test_one_failing_run_does_not_stop_the_others(train, capsys, tmp_path):
    Path("conf/act").mkdir(parents=True)
    Path("conf/act/failing.yaml").write_text("_target_: failing.act\n_partial_: true\n")
    Path("failing.py").write_text("def act():\n    raise RuntimeError('no such activation')\n")
    sys.path.insert(0, str(tmp_path))
    try:
        code = train("-m", *SMALL, "act=relu,failing", "seed=0,1", "trust=[failing]")
    finally:
        sys.path.remove(str(tmp_path))
    said = capsys.readouterr().out
    assert code == 1
    assert sorted(r["outcome"] for r in results().values()) == ["failed", "failed", "trained", "trained"]
    assert "RuntimeError: no such activation" in said
    assert "log.txt" in said
    assert "retry  reslab train" in said
    assert "act=failing" in said
    # with the defect mended the same command runs what failed and nothing else
    Path("failing.py").write_text("from torch import nn\n\n\ndef act():\n    return nn.ReLU()\n")
    before = {path: stamp for path, stamp in stamps().items() if read_json(path)["outcome"] == "trained"}
    sys.path.insert(0, str(tmp_path))
    try:
        assert train("-m", *SMALL, "act=relu,failing", "seed=0,1", "trust=[failing]") == 0
    finally:
        sys.path.remove(str(tmp_path))
    assert "4 runs · 2 done · 2 to run" in capsys.readouterr().out
    assert sorted(read_json(path)["attempt"] for path in stamps()) == [1, 1, 2, 2]
    assert {path: stamps()[path] for path in before} == before


def test_a_run_that_ended_elsewhere_meanwhile_is_left_alone(train, monkeypatch, capsys):
    """Between the look at the states and the start of the run another command has finished it."""
    from reslab.launch import sweep

    assert train(*SMALL, "jobs=1") == 0
    (path,) = Path("outputs/runs").glob("*/*/result.json")
    finished = path.read_text()
    path.unlink()
    monkeypatch.setattr(sweep, "prepare", lambda jobs: path.write_text(finished))
    assert train(*SMALL, "jobs=1") == 0
    assert path.read_text() == finished
    assert read_json(path.with_name("status.json"))["attempt"] == 1


DAMAGE = {
    "status of nonsense": ("status.json", '{"schema": 1, "state": "running", "attempt": null}'),
    "torn status": ("status.json", '{"sch'),
    "torn config": ("config.yaml", "a: ["),
    "empty config": ("config.yaml", ""),
    "torn result": ("result.json", '{"outcome": "tra'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_mended_and_stops_nobody(train, damage):
    assert train(*SMALL, "checkpoints=log") == 0
    (folder,) = Path("outputs/runs").glob("*/seed=0")
    weights = read_json(folder / "result.json")["weights"]
    (folder / "result.json").unlink()
    name, content = DAMAGE[damage]
    (folder / name).write_text(content)
    assert train("-m", *SMALL, "seed=0,1") == 0
    assert read_json(folder / "result.json")["weights"] == weights
    assert len(results()) == 2


def test_a_result_of_another_schema_is_left_alone(train, capsys):
    assert train(*SMALL) == 0
    (path,) = Path("outputs/runs").glob("*/*/result.json")
    path.write_text('{"schema": 99, "outcome": "trained"}')
    assert train("-m", *SMALL, "seed=0,1") == 0
    assert "other schema" in capsys.readouterr().out
    assert read_json(path) == {"schema": 99, "outcome": "trained"}


def test_a_folder_that_cannot_be_entered_stops_nobody(train, capsys):
    assert train("-m", *SMALL, "seed=0,1") == 0
    blocked = next(Path("outputs/runs").glob("*/seed=0"))
    shutil.rmtree(blocked)
    shutil.rmtree(blocked.with_name("seed=1"))
    blocked.write_text("a file where a folder should be")
    assert train("-m", *SMALL, "seed=0,1") == 1
    said = capsys.readouterr().out
    assert "failed 1" in said
    assert "trained 1" in said


def test_a_diverged_run_is_a_result(train, capsys):
    assert train(*SMALL, "recipe.lr=1.0e+30", "norm=absent") == 0
    (result,) = results().values()
    assert result["outcome"] == "diverged"
    assert result["first_bad_step"] >= 1
    assert "train" not in result
    capsys.readouterr()
    assert train(*SMALL, "recipe.lr=1.0e+30", "norm=absent") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_sweeper_may_launch_in_batches(train, capsys):
    assert train("-m", *SMALL, "seed=0,1", "hydra.sweeper.max_batch_size=1", "outputs=batches") == 0
    assert len(list(Path("batches/runs").glob("*/*/result.json"))) == 2
    said = capsys.readouterr().out
    assert f"next: reslab report experiment=adhoc outputs={Path('batches').absolute()}" in said


def test_hydra_basic_launcher_gives_the_same_records(train, tmp_path):
    grid = [*SMALL, "shortcut=none,identity", "trainer.threads=1"]
    assert train("-m", *grid, "outputs=ours") == 0
    assert train("-m", *grid, "outputs=basic", "hydra/launcher=basic") == 0
    found: dict = {"ours": {}, "basic": {}}
    for path in tmp_path.glob("*/runs/*/*/result.json"):
        found[path.relative_to(tmp_path).parts[0]][path.parents[1].name] = json.loads(path.read_text())
    ours, basic = found["ours"], found["basic"]
    assert ours.keys() == basic.keys()
    for name in ours:
        for key in ("cell", "weights", "train", "test", "outcome", "params", "macs"):
            assert ours[name][key] == basic[name][key]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["basic", "ours"]


def test_the_same_run_of_two_experiments_is_trained_once(train, capsys):
    for name in ("first", "second"):
        Path("conf/experiment").mkdir(parents=True, exist_ok=True)
        Path(f"conf/experiment/{name}.yaml").write_text(
            "# @package _global_\nhydra: {sweeper: {params: {seed: '0,1'}}}\n"
        )
    assert train(*SMALL, "experiment=first") == 0
    capsys.readouterr()
    assert train(*SMALL, "experiment=second") == 0
    assert "nothing to do" in capsys.readouterr().out
    for name in ("first", "second"):
        assert len(Path(f"outputs/experiments/{name}/plan.jsonl").read_text().splitlines()) == 2


def test_plan_starts_and_writes_nothing(train, capsys, tmp_path):
    from reslab.commands.plan import main

    assert main(["experiment=degradation_digits", "depth=8,20", "seed=0"]) == 0
    said = capsys.readouterr().out
    assert "269,434" in said
    assert "new 4" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["plan", "train", "report"])
def test_the_command_line_imports_no_torch(verb, finished_run, tmp_path):
    """The process that reads the command line stays light; `train` has nothing left to do here."""
    arguments = [verb, *SMALL, "shortcut=identity"] if verb != "report" else ["report", "experiment=adhoc"]
    code = f"""
import sys
sys.argv = ["reslab", *{arguments!r}]
from reslab.commands.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
heavy = [name for name in ("torch", "wandb", "pytorch_lightning", "sklearn") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=finished_run.parents[3], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_that_the_import_test_can_fail():
    code = "import reslab.training.steps, sys; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT).returncode == 1
