"""Two ranks x two runs under every launcher and a sampler: where a rank fails its run fails, the other one is whole."""

import os
import shutil

import pytest

from cluster.sweeps import RUN, Gate, outcomes, records, train
from reslab.runs.folder import read_json

OF_TWO = (*RUN, "trainer=ddp", "devices=2", "tracking=disabled")
SAMPLED = ("hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1")
WAYS = {
    "local": ("seed=0,1",),
    "joblib": ("seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1"),
    "optuna": ("seed=choice(0,1)", *SAMPLED),
    "slurm": ("seed=0,1", "launcher=slurm", "hydra.launcher.cpus_per_run=2", "hydra.launcher.memory_gb=1"),
    "ray": ("seed=0,1", "launcher=ray", "hydra.launcher.cpus_per_run=2"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the launcher `local` writes when nothing fails."""
    folder = tmp_path_factory.mktemp("two")
    code, said = train(folder, dict(os.environ), *OF_TWO, "seed=0,1")
    assert code == 0, said
    return records(folder / "outputs")


def place(request, name):
    """Environment and overrides of one way."""
    if name == "slurm":
        return request.getfixturevalue("slurm").environment, WAYS[name]
    if name == "ray":
        cluster = request.getfixturevalue("ray_cluster")
        return cluster.environment, (*WAYS[name], f"hydra.launcher.address={cluster.address}")
    return dict(os.environ), WAYS[name]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.fault(
    "one rank of one run raises, under each launcher", outcome="that run failed, the other is whole; resumed"
)
def test_a_failing_rank_costs_its_run_alone(request, undisturbed, tmp_path, name):
    environment, way = place(request, name)
    gate = Gate(tmp_path, **{"raise-on-rank-1": "1"})
    code, said = train(tmp_path, environment, *OF_TWO, *way)
    assert code == 1, said
    assert outcomes(tmp_path / "outputs") == {"seed=0": "trained", "seed=1": "failed"}
    assert "rank 1 ended with exit code 1 without a result: ValueError: told to raise" in said
    found = records(tmp_path / "outputs")
    whole = next(run for run in found if run.endswith("seed=0"))
    assert found[whole] == undisturbed[whole]
    shutil.rmtree(gate.folder)
    code, said = train(tmp_path, environment, *OF_TWO, *way)
    assert code == 0, said
    assert records(tmp_path / "outputs") == undisturbed
    results = [read_json(path) for path in (tmp_path / "outputs").glob("runs/*/*/result.json")]
    assert [result["hardware"]["ranks"] for result in results] == [2, 2]
