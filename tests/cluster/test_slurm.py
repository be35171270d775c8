"""Runs as jobs of a real SLURM: records as on one machine, and nothing lost by what clusters do to jobs."""

import os
import signal

import pytest

from cluster.slurm import starter, variables, wait_for
from cluster.sweeps import GRID, at_gate, attempts, command, gate, outcomes, records, same_as, train, waiting
from settings import SMALL

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


def test_failures_stay_with_their_runs(slurm, reference, tmp_path):
    """One raises, one is killed by itself, one loses its whole job, one is cancelled; the others are whole."""
    door = tmp_path / "gate"
    overrides = [*SMALL, "seed=0,1,2,3,4", "+callbacks.grief._target_=cluster.gate.Grief", *gate(door), *SLURM]
    with command(tmp_path, slurm.environment, *overrides) as process:
        assert waiting(door, 3) == ["seed=0", "seed=3", "seed=4"]
        os.kill(starter(at_gate(door, "seed=3")), signal.SIGKILL)
        number = number_of(at_gate(door, "seed=4"))
        slurm.run("scancel", number)
        wait_for(lambda: number in slurm.jobs("CANCELLED"))
        (door / "open").touch()
        assert process.wait(timeout=240) == 1
    said = (tmp_path / "said.txt").read_text()
    assert outcomes(tmp_path / "outputs") == {
        "seed=0": "trained", "seed=1": "failed", "seed=2": "failed", "seed=3": "failed",
    }, said  # fmt: skip
    assert "failed 3 · interrupted 1 · trained 1" in said
    for words_of_one in ("a grief of its own", "SIGKILL", "left no result (state FAILED)", "(state CANCELLED)"):
        assert words_of_one in said
    code, said = train(tmp_path, slurm.environment, *SMALL, "seed=0,1,2,3,4", *SLURM)
    assert code == 0, said
    assert attempts(tmp_path / "outputs") == {"seed=0": 1, **{f"seed={n}": 2 for n in (1, 2, 3, 4)}}
    same_as(reference, tmp_path / "outputs")


def test_preempted_runs_resume(slurm, reference, tmp_path):
    """A job of more weight takes both nodes: SLURM warns, then queues the runs again."""
    door = tmp_path / "gate"
    with command(tmp_path, slurm.environment, *SMALL, "seed=0,1", *gate(door), *SLURM) as process:
        waiting(door, 2)
        for file in door.glob("seed=*"):
            file.unlink()
        slurm.run("sbatch", "-p", "high", "-N2", "-c2", "-t1", "-o", "/dev/null", "--wrap", "sleep 1")
        wait_for(lambda: (slurm.bring_forward(), len(list(door.glob("seed=*"))) == 2)[1])
        (door / "open").touch()
        assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
    assert attempts(tmp_path / "outputs") == {"seed=0": 2, "seed=1": 2}
    same_as(reference, tmp_path / "outputs")


def test_sigterm_is_no_end_and_a_requeue_resumes(slurm, reference, tmp_path):
    """SLURM's first word to a job that must make way reaches every process of it; the run uses the time it has."""
    door = tmp_path / "gate"
    with command(tmp_path, slurm.environment, *SMALL, "seed=0,1", *gate(door), *SLURM) as process:
        waiting(door, 2)
        numbers = [number_of(at_gate(door, name)) for name in ("seed=0", "seed=1")]
        for number in numbers:
            slurm.run("scancel", "--signal=TERM", number)
        (door / "seed=0").unlink()
        slurm.run("scontrol", "requeue", numbers[0])
        wait_for(lambda: (slurm.bring_forward(), (door / "seed=0").exists())[1])
        (door / "open").touch()
        assert process.wait(timeout=240) == 0, (tmp_path / "said.txt").read_text()
    assert attempts(tmp_path / "outputs") == {"seed=0": 2, "seed=1": 1}
    same_as(reference, tmp_path / "outputs")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_ends_the_command_cancels_its_jobs(slurm, reference, tmp_path, number, code):
    door = tmp_path / "gate"
    with command(tmp_path, slurm.environment, *SMALL, "seed=0,1", "jobs=1", *gate(door), *SLURM) as process:
        waiting(door, 1)
        process.send_signal(number)
        assert process.wait(timeout=120) == code
    said = (tmp_path / "said.txt").read_text()
    assert "interrupted 1 · not started 1" in said
    assert not slurm.jobs("PENDING", "RUNNING", "COMPLETING")
    if number == signal.SIGINT:
        status, said = train(tmp_path, slurm.environment, *SMALL, "seed=0,1", *SLURM)
        assert status == 0, said
        assert attempts(tmp_path / "outputs") == {"seed=0": 2, "seed=1": 1}
        same_as(reference, tmp_path / "outputs")
