"""Runs as tasks of a real Ray cluster of two nodes: records as on one machine, and nothing lost with a node."""

import os
import shutil
import signal

import pytest

from cluster.raycluster import CPUS
from cluster.slurm import gone, starter, variables
from cluster.sweeps import GRID, RUN, Gate, attempts, command, outcomes, records, same_as, train

pytestmark = pytest.mark.real("Ray: a cluster of two nodes")


def on(cluster):
    return ("launcher=ray", f"hydra.launcher.address={cluster.address}")


def test_records_are_those_of_one_machine(ray_cluster, reference, tmp_path):
    code, said = train(tmp_path, ray_cluster.environment, *GRID, *on(ray_cluster))
    assert code == 0, said
    assert "trained 4" in said
    assert records(tmp_path / "outputs") == reference


@pytest.mark.fault("Ray: runs raise, are killed, lose their worker", outcome="the others are whole; completed")
def test_failures_stay_with_their_runs(ray_cluster, reference, tmp_path):
    """One raises, one is killed, and one loses the Ray worker that waits for it as often as Ray tries."""
    gate = Gate(tmp_path, **{"raise": "1", "kill": "2", "wait": "03"})
    overrides = [*RUN, "seed=0,1,2,3", *on(ray_cluster), "hydra.launcher.retries=0"]
    with command(tmp_path, ray_cluster.environment, *overrides) as process:
        gate.waiting("03")
        os.kill(starter(gate.process(3)), signal.SIGKILL)
        gone(gate.process(3))  # else it might go on and end before the kill reaches it
        gate.open()
        assert process.wait(timeout=240) == 1
    said = (tmp_path / "said.txt").read_text()
    assert outcomes(tmp_path / "outputs") == {"seed=0": "trained"} | {f"seed={n}": "failed" for n in (1, 2, 3)}, said
    for words in ("told to raise", "SIGKILL", "WorkerCrashedError", "failed 3 · trained 1"):
        assert words in said
    shutil.rmtree(gate.folder)
    code, said = train(tmp_path, ray_cluster.environment, *overrides)
    assert code == 0, said
    same_as(reference, tmp_path / "outputs")


@pytest.mark.fault("Ray: node killed in mid-run", outcome="its run resumed on the other node")
def test_runs_of_a_lost_node_go_on_elsewhere(ray_cluster, reference, tmp_path):
    gate = Gate(tmp_path, wait="01")
    overrides = [*RUN, "seed=0,1", *on(ray_cluster), f"hydra.launcher.cpus_per_run={CPUS}"]  # one on each node
    with command(tmp_path, ray_cluster.environment, *overrides) as process:
        gate.waiting("01")
        nodes = {variables(gate.process(seed))["RESLAB_TEST_NODE"]: f"seed={seed}" for seed in (0, 1)}
        ray_cluster.kill()
        gate.open()
        try:
            assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
        finally:
            ray_cluster.add()
    same_as(reference, tmp_path / "outputs")
    assert attempts(tmp_path / "outputs") == {nodes["head"]: 1, nodes["other"]: 2}


@pytest.mark.fault("Ray: command gets SIGINT", outcome="its tasks ended")
def test_ctrl_c_ends_the_tasks(ray_cluster, tmp_path):
    gate = Gate(tmp_path, wait="01")
    with command(tmp_path, ray_cluster.environment, *RUN, "seed=0,1", "jobs=1", *on(ray_cluster)) as process:
        gate.waiting("0")
        pid = gate.process(0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
    assert "interrupted 1 · not started 1" in (tmp_path / "said.txt").read_text()
    gone(pid)
