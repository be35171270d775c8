"""What can happen to one of two ranks: the run ends at once, says which rank it was, and goes on when asked again."""

import random
import signal

import pytest

from faults.inject import Fault
from faults.scene import PATIENCE, STEPS

SOON = 5.0  # seconds from a death to the end of the run; measured are tenths
BOUND = "run ended at once with that rank's words; resumed"
pytestmark = pytest.mark.real("two gloo ranks of one run")


def after_death(pair):
    """Seconds from the fault to the record of the failure, which the command writes."""
    struck = float((pair.folder / "fault.struck").read_text())
    return pair.folder_of(0).result.stat().st_mtime - struck


KILLED = "was killed by signal 9 (SIGKILL)"
SOME, OTHER = random.Random(5).sample(range(1, STEPS), 2)
DEATHS = [
    ("rank 1 raises", Fault("break_down", 8, rank=1), "ended with exit code 1 without a result: RuntimeError: broken"),
    ("rank 1 exits 0", Fault("leave", 8, rank=1), "ended with exit code 0 without a result"),
    ("rank 1 exits 3", Fault("leave_with_3", 8, rank=1), "ended with exit code 3 without a result"),
    ("rank 1 gets SIGTERM", Fault("terminate", 8, rank=1), "ended with exit code 143 without a result"),
    ("rank 1 SIGKILLed at a random step", Fault("kill", SOME, rank=1), KILLED),
    ("rank 1 SIGKILLed after the last step", Fault("kill", STEPS, rank=1), KILLED),
    ("rank 0 SIGKILLed at a random step", Fault("kill", OTHER), KILLED),
]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(fault, words, id=what, marks=pytest.mark.fault(what, outcome=BOUND))
        for what, fault, words in DEATHS
    ],
)
def test_one_dies(pair, undisturbed_pair, capsys, record_property, fault, words):
    fault.flag = str(pair.folder / "fault")
    pair.strike(fault)
    assert pair.train() == 1
    said = capsys.readouterr().out
    assert f"rank {fault.rank} {words}" in said, said
    assert pair.states() == {0: "failed", 1: "ended"}
    seconds = after_death(pair)
    record_property("measured", f"ended {seconds:.2f} s after the death")
    assert seconds < SOON
    pair.completes(undisturbed_pair)


@pytest.mark.fault("rank 1 hangs", outcome="ended by the watchdog, stacks in both logs; resumed")
def test_one_hangs(pair, undisturbed_pair, capsys):
    pair.strike(Fault("hang", 8, rank=1))
    assert pair.train("trainer.heartbeat_timeout=3") == 1
    assert "no sign of life for 3 s (trainer.heartbeat_timeout)" in capsys.readouterr().out
    assert pair.states() == {0: "failed", 1: "ended"}
    assert "in hang" in pair.folder_of(0).log_of(1).read_text(), "where rank 1 stood"
    assert "train_steps" in pair.folder_of(0).log.read_text(), "where rank 0 waited for it"
    pair.completes(undisturbed_pair)


@pytest.mark.fault("NaN on rank 1 alone", outcome="diverged at the next step, on both ranks")
def test_no_number_on_one(pair, undisturbed_pair):
    pair.strike(Fault("poison", 8, rank=1))
    assert pair.train() == 0
    result = pair.read_results()[0]
    assert (result["outcome"], result["first_bad_step"]) == ("diverged", 8)
    pair.completes({0: pair.science()[0], 1: undisturbed_pair[1]})


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(
            number,
            code,
            marks=pytest.mark.fault(f"command of two ranks gets {number.name}", outcome="run interrupted; resumed"),
        )
        for number, code in [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
    ],
)
def test_signal(pair, undisturbed_pair, number, code):
    """While rank 1 stands still and rank 0 waits for it in a collective, where it hears no signal."""
    fault = pair.hold(8)
    fault.rank = 1
    pair.strike(fault)
    process = pair.start()
    pair.held(0)
    assert len(pair.processes()) >= 4  # the command, its fork server, two ranks
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    pair.no_orphan()
    assert pair.states() == {0: "interrupted", 1: "new"}
    pair.completes(undisturbed_pair)


@pytest.mark.fault("fork server of two ranks killed", outcome="run failed, the other goes on; resumed")
def test_fork_server_killed(pair, undisturbed_pair, capsys):
    pair.strike(Fault("kill_server", 8, rank=1))
    assert pair.train() == 1
    assert "lost with its fork server" in capsys.readouterr().out
    assert pair.states() == {0: "failed", 1: "ended"}
    pair.completes(undisturbed_pair)
