"""Runs as tasks of a real Ray cluster of two nodes: records as on one machine, and nothing lost with a node."""

import os
import signal

import pytest

from cluster.raycluster import CPUS
from cluster.slurm import starter, variables
from cluster.sweeps import GRID, at_gate, attempts, command, gate, outcomes, records, same_as, train, waiting
from settings import SMALL

pytestmark = pytest.mark.real("Ray: a cluster of two nodes")


def on(cluster):
    return ("launcher=ray", f"hydra.launcher.address={cluster.address}")


def test_records_are_those_of_one_machine(ray_cluster, reference, tmp_path):
    code, said = train(tmp_path, ray_cluster.environment, *GRID, *on(ray_cluster))
    assert code == 0, said
    assert "trained 4" in said
    assert records(tmp_path / "outputs") == reference


def test_failures_stay_with_their_runs(ray_cluster, reference, tmp_path):
    """One raises, one is killed, and one loses the Ray worker that waits for it as often as Ray tries."""
    door = tmp_path / "gate"
    grief = "+callbacks.grief._target_=cluster.gate.Grief"
    overrides = [*SMALL, "seed=0,1,2,3", grief, *gate(door), *on(ray_cluster), "hydra.launcher.retries=0"]
    with command(tmp_path, ray_cluster.environment, *overrides) as process:
        assert waiting(door, 2) == ["seed=0", "seed=3"]
        os.kill(starter(at_gate(door, "seed=3")), signal.SIGKILL)
        (door / "open").touch()
        assert process.wait(timeout=240) == 1
    said = (tmp_path / "said.txt").read_text()
    assert outcomes(tmp_path / "outputs") == {"seed=0": "trained"} | {f"seed={n}": "failed" for n in (1, 2, 3)}, said
    for words in ("a grief of its own", "SIGKILL", "WorkerCrashedError", "failed 3 · trained 1"):
        assert words in said
    code, said = train(tmp_path, ray_cluster.environment, *SMALL, "seed=0,1", *on(ray_cluster))
    assert code == 0, said
    same_as(reference, tmp_path / "outputs")


def test_runs_of_a_lost_node_go_on_elsewhere(ray_cluster, reference, tmp_path):
    door = tmp_path / "gate"
    whole_node = f"hydra.launcher.cpus_per_run={CPUS}"
    overrides = [*SMALL, "seed=0,1", *gate(door), *on(ray_cluster), whole_node]
    with command(tmp_path, ray_cluster.environment, *overrides) as process:
        waiting(door, 2)
        nodes = {variables(at_gate(door, name))["RESLAB_TEST_NODE"]: name for name in ("seed=0", "seed=1")}
        ray_cluster.kill()
        (door / "open").touch()
        try:
            assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
        finally:
            ray_cluster.add()
    same_as(reference, tmp_path / "outputs")
    assert attempts(tmp_path / "outputs") == {nodes["head"]: 1, nodes["other"]: 2}


def test_ctrl_c_ends_the_tasks(ray_cluster, tmp_path):
    door = tmp_path / "gate"
    with command(
        tmp_path, ray_cluster.environment, *SMALL, "seed=0,1", "jobs=1", *gate(door), *on(ray_cluster)
    ) as process:
        waiting(door, 1)
        pid = at_gate(door, "seed=0")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
    assert "interrupted 1 · not started 1" in (tmp_path / "said.txt").read_text()
    assert not os.path.exists(f"/proc/{pid}")
