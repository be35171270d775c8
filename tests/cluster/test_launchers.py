"""Hydra's other launchers: the same records, the same table, whatever happens to their processes."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from cluster.slurm import starter, wait_for
from cluster.sweeps import GRID, RUN, Gate, attempts, command, outcomes, records, same_as, train

ENVIRONMENT = dict(os.environ)


@pytest.mark.parametrize("name", ["basic", "joblib", "submitit_local"])
def test_records_are_those_of_our_own_launcher(reference, tmp_path, name):
    code, said = train(tmp_path, ENVIRONMENT, *GRID, f"hydra/launcher={name}")
    assert code == 0, said
    assert records(tmp_path / "outputs") == reference
    assert said.count("trained 4") == 1
    assert said.count("4 runs · 0 done · 4 to run") == 1
    assert {path.name for path in (tmp_path / "outputs/experiments/adhoc").iterdir()} == {"plan.jsonl", "study.json"}
    code, said = train(tmp_path, ENVIRONMENT, *GRID, f"hydra/launcher={name}")
    assert code == 0
    assert "nothing to do" in said


@pytest.mark.fault("joblib: worker killed", outcome="what was done is kept; completed")
@pytest.mark.real("joblib: a worker killed")
def test_a_lost_worker_costs_no_record(reference, tmp_path):
    """joblib gives up on everything else; what was done stays done, and the same command does the rest."""
    gate, overrides = Gate(tmp_path, wait="1"), [*RUN, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    with command(tmp_path, ENVIRONMENT, *overrides) as process:
        gate.waiting("1")
        wait_for(lambda: outcomes(tmp_path / "outputs") == {"seed=0": "trained"})
        os.kill(starter(gate.process(1)), signal.SIGKILL)
        assert process.wait(timeout=240) == 1
    said = (tmp_path / "said.txt").read_text()
    assert outcomes(tmp_path / "outputs") == {"seed=0": "trained", "seed=1": "failed"}, said
    assert "the launcher ended with TerminatedWorkerError" in said
    shutil.rmtree(gate.folder)
    code, said = train(tmp_path, ENVIRONMENT, *overrides)
    assert code == 0, said
    assert attempts(tmp_path / "outputs") == {"seed=0": 1, "seed=1": 2}
    same_as(reference, tmp_path / "outputs")


def test_points_are_refused_as_a_whole(tmp_path):
    code, said = train(tmp_path, ENVIRONMENT, *RUN, "depth=8,9", "hydra/launcher=basic")
    assert code == 2
    assert "1 of 2 points are invalid; nothing was started" in said
    assert not (tmp_path / "outputs").exists()


def test_frozen_configs_hold_though_conf_is_edited(tmp_path):
    """The second run is composed by Hydra after the edit, and trained as it was planned before."""
    conf = tmp_path / "conf" / "recipe"
    conf.mkdir(parents=True)
    recipe = conf / "mine.yaml"
    recipe.write_text("defaults: [digits]\nlr: 0.05\n")
    gate = Gate(tmp_path, wait="0")
    with command(tmp_path, ENVIRONMENT, *RUN, "recipe=mine", "seed=0,1", "hydra/launcher=basic") as process:
        gate.waiting("0")
        recipe.write_text("defaults: [digits]\nlr: 0.5\n")
        gate.open()
        assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
    found = records(tmp_path / "outputs")
    assert [config["recipe"]["lr"] for config, _, _ in found.values()] == [0.05, 0.05]
    assert len({name.split("/")[0] for name in found}) == 1


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["launcher=slurm"], "no sbatch on the PATH"),
        (["launcher=slurm", "hydra.launcher.minutes=0"], "hydra.launcher.minutes=0 is not an integer of at least 1"),
        (["launcher=slurm", "+hydra.launcher.minuts=5"], "unknown key 'hydra.launcher.minuts'; did you mean minutes?"),
        (["launcher=ray", "hydra.launcher.address=127.0.0.1:1"], "127.0.0.1:1: no Ray there"),
        (["launcher=ray", "hydra.launcher.address=nowhere"], "nowhere: no Ray there"),
        (["launcher=ray", "num_nodes=2"], "use num_nodes=1 or launcher=slurm"),
        (["launcher=ray", "trainer=gpu", "devices=2", "hydra.launcher.gpus_per_run=1"], "gpus_per_run=1 is too few"),
        (["launcher=ray", "trainer=gpu"], "hydra.launcher.gpus_per_run=1 where another machine"),
        (["launcher=ry"], "launcher=ry is unknown; it is one of ray, slurm; did you mean ray?"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(train, monkeypatch, tmp_path, overrides, words):
    from reslab.launch.errors import explain

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is, the user sees what `explain` says
        train("-m", *RUN, *overrides)
    assert words in str(explain(caught.value, "train", overrides))
    assert not Path("outputs").exists()
