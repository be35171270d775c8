"""status.json: running only as long as that very process lives."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from reslab.runs.folder import RunFolder, write_json
from reslab.runs.status import Records, boot_id, process_identity, start_time, state, write_status


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def forge(folder, **changes):
    write_json(folder.status, {"state": "running", "heartbeat": time.time(), **process_identity(), **changes})


@pytest.fixture
def dead():
    """A pid that belonged to a process a moment ago."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_new_where_nothing_is(folder):
    assert state(folder) == "new"
    assert state(RunFolder(folder.path / "nowhere")) == "new"


def test_running_while_this_process_lives(folder):
    write_status(folder, "running", {"step": 3})
    assert state(folder) == "running"
    assert json.loads(folder.status.read_text())["step"] == 3


def test_a_dead_process_was_interrupted(folder, dead):
    forge(folder, pid=dead, started=12345)
    assert state(folder) == "interrupted"


def test_a_reused_pid_is_another_process(folder):
    forge(folder, started=start_time(os.getpid()) + 1)
    assert state(folder) == "interrupted"


def test_another_boot(folder):
    forge(folder, boot="not this one")
    assert state(folder) == "interrupted"


def test_a_live_child_runs_until_it_is_killed(folder):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        forge(folder, pid=child.pid, started=start_time(child.pid))
        assert state(folder) == "running"
    finally:
        child.kill()
        child.wait()
    assert state(folder) == "interrupted"


@pytest.mark.parametrize(
    ("age", "expected"), [(0, "running"), (50, "running"), (70, "interrupted"), (1e6, "interrupted")]
)
def test_on_another_machine_the_heartbeat_counts(folder, age, expected):
    forge(folder, host=socket.gethostname() + "x", boot="another", pid=-1, heartbeat=time.time() - age)
    assert state(folder) == expected


@pytest.mark.parametrize("said", ["ended", "interrupted", None])
def test_whatever_says_not_running_and_has_no_result_was_interrupted(folder, said):
    forge(folder, state=said)
    assert state(folder) == "interrupted"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("trained", "ended"), ("at_chance", "ended"), ("diverged", "ended"), ("failed", "failed"), (None, "failed")],
)
def test_the_result_has_the_last_word(folder, outcome, expected):
    write_status(folder, "running", {})
    write_json(folder.result, {"outcome": outcome})
    assert state(folder) == expected


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"outcome": "trai'])
def test_torn_files_count_as_none(folder, text):
    folder.result.write_text(text)
    assert state(folder) == "new"
    folder.status.write_text(text)
    assert state(folder) == "new"
    write_status(folder, "running", {})
    assert state(folder) == "running"


def test_start_times():
    mine = start_time(os.getpid())
    assert isinstance(mine, int)
    assert mine == start_time(os.getpid())
    assert start_time(-1) is None
    assert len(boot_id()) > 10


def test_the_start_time_of_a_process_with_an_odd_name():
    """The name in /proc/PID/stat may hold spaces and brackets."""
    script = "import time; open('/proc/self/comm', 'w').write('a) b (c'); print('ready', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        before = start_time(child.pid)
        assert child.stdout.readline() == b"ready\n"
        assert start_time(child.pid) == before
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.parametrize("beat", [None, "x", [], True, float("nan"), -1])
def test_on_another_machine_without_a_heartbeat(folder, beat):
    forge(folder, host="another")
    folder.status.write_text(json.dumps(json.loads(folder.status.read_text()) | {"heartbeat": beat}))
    assert state(folder) == "interrupted"


@pytest.mark.parametrize("name", ["result.json", "status.json", "metrics.jsonl"])
def test_a_record_of_another_schema_alone(folder, name):
    (folder.path / name).write_text('{"schema": 2, "state": "running"}\n')
    assert state(folder) == "other schema"
    assert Records.of(folder).foreign[0].startswith(f"{name} has schema 2, this version reads 1")
