"""What can happen to the command, its fork server, and the machine."""

import json
import signal
import socket
import time

import pytest

from faults.inject import Fault
from faults.scene import PATIENCE
from reslab.runs.folder import write_json
from reslab.runs.status import start_time


@pytest.mark.real("Ctrl-C, SIGTERM, SIGKILL of the command")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(
            number, code, marks=pytest.mark.fault(f"command gets {number.name}", outcome="runs interrupted; resumed")
        )
        for number, code in [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
    ],
)
def test_signal(wide_scene, undisturbed, number, code):
    scene = wide_scene
    scene.strike(scene.hold(8, seed=0), scene.hold(16, seed=1))
    process = scene.start()
    scene.held(0, 1)
    assert len(scene.processes()) >= 4  # the command, its fork server, two workers
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    scene.no_orphan()
    assert scene.states() == {0: "interrupted", 1: "interrupted", 2: "new"}
    if number != signal.SIGKILL:
        assert "interrupted 2" in said
        assert "not started 1" in said
    scene.completes(undisturbed)


@pytest.mark.fault("fork server killed", outcome="its runs failed, the others go on; resumed")
def test_fork_server_killed(wide_scene, undisturbed, capsys):
    wide_scene.strike(Fault("kill_server", 8), Fault("hang", 3, seed=1))
    assert wide_scene.train() == 1
    assert wide_scene.states() == {0: "failed", 1: "failed", 2: "ended"}
    assert "lost with its fork server" in capsys.readouterr().out
    wide_scene.completes(undisturbed)


@pytest.mark.fault("second sweep while the first has a run", outcome="each run executed once")
def test_second_sweep(scene, undisturbed, capsys):
    scene.strike(scene.hold(8))
    process = scene.start("jobs=1")
    scene.held(0)
    assert scene.train() == 0
    assert scene.states() == {0: "running", 1: "ended"}
    assert "elsewhere" in capsys.readouterr().out
    scene.release(0)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert scene.attempts() == {0: 1, 1: 1}
    scene.completes(undisturbed)


@pytest.mark.fault("two sweeps begun at once", outcome="each run executed once")
def test_two_sweeps(wide_scene, undisturbed):
    both = [wide_scene.start() for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert wide_scene.attempts() == {0: 1, 1: 1, 2: 1}
    assert len(wide_scene.plan.read_text().splitlines()) == 3
    wide_scene.completes(undisturbed)


def left_running(scene, **changes):
    """A run killed at step 8 whose status is left as a dead machine leaves it."""
    scene.strike(Fault("kill", 8))
    assert scene.train() == 1
    folder = scene.folder_of(0)
    folder.result.unlink()
    status = json.loads(folder.status.read_text())
    assert status["state"] == "running"
    write_json(folder.status, status | changes)


REBOOTED = {
    "machine rebooted, pid not there": {"boot": "before", "pid": 2**22 + 1},
    "machine rebooted, pid recycled": {"boot": "before", "pid": 1, "started": start_time(1)},
    "pid recycled, same boot": {"pid": 1, "started": -1},
}


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=pytest.mark.fault(what, outcome="seen as stale; resumed")) for what in REBOOTED]
)
def test_left_running(scene, undisturbed, what):
    left_running(scene, **REBOOTED[what])
    assert scene.states() == {0: "interrupted", 1: "ended"}
    scene.completes(undisturbed)


@pytest.mark.fault("clock moved back: heartbeat of a dead host in the future", outcome="seen as stale; resumed")
def test_heartbeat_in_the_future(scene, undisturbed):
    left_running(scene, host=f"not-{socket.gethostname()}", heartbeat=time.time() + 3600)
    scene.completes(undisturbed)


@pytest.mark.fault("clock of the command moved back an hour", outcome="nothing is noticed")
def test_clock_of_the_command(scene, undisturbed, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    assert scene.train() == 0
    monkeypatch.undo()
    scene.completes(undisturbed)
