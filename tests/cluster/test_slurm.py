"""Runs as jobs of a real SLURM: records as on one machine, and nothing lost by what clusters do to jobs."""

import os
import shutil
import signal

import pytest

from cluster.slurm import gone, starter, variables, wait_for
from cluster.sweeps import GRID, RUN, Gate, attempts, command, outcomes, records, same_as, train
from reslab.runs.folder import read_json

SLURM = ("launcher=slurm", "hydra.launcher.partition=low", "hydra.launcher.memory_gb=1")
pytestmark = pytest.mark.real("SLURM: two nodes, two partitions")


def number_of(pid):
    """The SLURM job that a process belongs to."""
    found = variables(pid)
    return f"{found['SLURM_ARRAY_JOB_ID']}_{found['SLURM_ARRAY_TASK_ID']}"


def test_records_are_those_of_one_machine(slurm, reference, tmp_path):
    code, said = train(tmp_path, slurm.environment, *GRID, *SLURM)
    assert code == 0, said
    assert "trained 4" in said
    assert records(tmp_path / "outputs") == reference
    assert list((tmp_path / "outputs/experiments/adhoc/slurm").glob("*_result.pkl"))
    code, said = train(tmp_path, slurm.environment, *GRID, *SLURM)
    assert code == 0
    assert "nothing to do" in said


def test_a_run_over_two_nodes_is_that_of_two_ranks_at_home(slurm, tmp_path):
    """The nodes of this SLURM are one host, whose name leads nowhere: the job is told where rank 0 is."""
    two = [*RUN, "trainer=ddp", "seed=0"]
    for name in ("home", "cluster"):
        (tmp_path / name).mkdir()
    assert train(tmp_path / "home", slurm.environment, *two, "devices=2")[0] == 0
    setup = "hydra.launcher.setup=['export MASTER_ADDR=127.0.0.1','export GLOO_SOCKET_IFNAME=lo']"
    code, said = train(tmp_path / "cluster", slurm.environment, *two, "num_nodes=2", *SLURM, setup)
    assert code == 0, said
    (home,), (cluster,) = (list((tmp_path / name).glob("outputs/runs/*/seed=0")) for name in ("home", "cluster"))
    ours, theirs = read_json(home / "result.json"), read_json(cluster / "result.json")
    assert (theirs["hardware"]["ranks"], theirs["cell"]) == (2, ours["cell"])
    assert theirs["weights"] == ours["weights"]
    assert (cluster / "rank1.log").exists()


@pytest.mark.fault(
    "SLURM: runs raise, are killed, lose their job, are cancelled", outcome="the others are whole; completed"
)
def test_failures_stay_with_their_runs(slurm, reference, tmp_path):
    """One raises, one is killed by itself, one loses its whole job, one is cancelled; the others are whole."""
    gate = Gate(tmp_path, **{"raise": "1", "kill": "2", "wait": "034"})
    overrides = [*RUN, "seed=0,1,2,3,4", *SLURM]
    with command(tmp_path, slurm.environment, *overrides) as process:
        gate.waiting("034")
        os.kill(starter(gate.process(3)), signal.SIGKILL)
        number = number_of(gate.process(4))
        slurm.run("scancel", number)
        wait_for(lambda: number in slurm.jobs("CANCELLED"))
        gone(gate.process(3), gate.process(4))  # else they might go on and end before the kill reaches them
        gate.open()
        assert process.wait(timeout=240) == 1
    said = (tmp_path / "said.txt").read_text()
    assert outcomes(tmp_path / "outputs") == {
        "seed=0": "trained", "seed=1": "failed", "seed=2": "failed", "seed=3": "failed",
    }, said  # fmt: skip
    assert "failed 3 · interrupted 1 · trained 1" in said
    for words_of_one in ("told to raise", "SIGKILL", "left no result (state FAILED)", "(state CANCELLED)"):
        assert words_of_one in said
    shutil.rmtree(gate.folder)
    code, said = train(tmp_path, slurm.environment, *overrides)
    assert code == 0, said
    assert attempts(tmp_path / "outputs") == {"seed=0": 1, **{f"seed={n}": 2 for n in (1, 2, 3, 4)}}
    same_as(reference, tmp_path / "outputs")


@pytest.mark.fault("SLURM: preempted (USR1 or USR2, then TERM), requeued", outcome="resumed")
@pytest.mark.parametrize("warning", ["USR2", "USR1"])
def test_preempted_runs_resume(slurm, reference, tmp_path, warning):
    """A job of more weight takes both nodes: SLURM warns (submitit asks for USR2), then queues the runs again."""
    gate = Gate(tmp_path, wait="01")
    environment = slurm.environment | {"SUBMITIT_PREEMPT_SIGNAL": warning}
    with command(tmp_path, environment, *RUN, "seed=0,1", *SLURM) as process:
        gate.waiting("01")
        gate.forget("01")
        slurm.run("sbatch", "-p", "high", "-N2", "-c2", "-t1", "-o", "/dev/null", "--wrap", "sleep 1")
        with slurm.impatient():
            gate.waiting("01")
        gate.open()
        assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
    logs = [path.read_text() for path in (tmp_path / "outputs/experiments/adhoc/slurm").glob("*_log.out")]
    assert all(f"Caught signal SIG{warning}" in log and "Requeued job" in log for log in logs)
    assert attempts(tmp_path / "outputs") == {"seed=0": 2, "seed=1": 2}
    same_as(reference, tmp_path / "outputs")


@pytest.mark.fault("SLURM: TERM to every process, then scontrol requeue", outcome="not noticed; resumed")
def test_sigterm_is_no_end_and_a_requeue_resumes(slurm, reference, tmp_path):
    """SLURM's first word to a job that must make way reaches every process of it; the run uses the time it has."""
    gate = Gate(tmp_path, wait="01")
    with command(tmp_path, slurm.environment, *RUN, "seed=0,1", *SLURM) as process:
        gate.waiting("01")
        numbers = [number_of(gate.process(seed)) for seed in (0, 1)]
        for number in numbers:
            slurm.run("scancel", "--signal=TERM", number)
        gate.forget("0")
        slurm.run("scontrol", "requeue", numbers[0])
        with slurm.impatient():
            gate.waiting("0")
        gate.open()
        assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
    assert attempts(tmp_path / "outputs") == {"seed=0": 2, "seed=1": 1}
    same_as(reference, tmp_path / "outputs")


@pytest.mark.fault("SLURM: command gets SIGINT, SIGTERM", outcome="its jobs cancelled; resumed")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_ends_the_command_cancels_its_jobs(slurm, reference, tmp_path, number, code):
    gate, others = Gate(tmp_path, wait="01"), set(slurm.jobs("PENDING", "RUNNING", "COMPLETING"))
    with command(tmp_path, slurm.environment, *RUN, "seed=0,1", "jobs=1", *SLURM) as process:
        gate.waiting("0")
        process.send_signal(number)
        assert process.wait(timeout=120) == code
    said = (tmp_path / "said.txt").read_text()
    assert "interrupted 1 · not started 1" in said
    assert set(slurm.jobs("PENDING", "RUNNING", "COMPLETING")) <= others
    if number == signal.SIGINT:
        gate.open()
        status, said = train(tmp_path, slurm.environment, *RUN, "seed=0,1", *SLURM)
        assert status == 0, said
        assert attempts(tmp_path / "outputs") == {"seed=0": 2, "seed=1": 1}
        same_as(reference, tmp_path / "outputs")
