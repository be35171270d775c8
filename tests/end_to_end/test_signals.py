"""Ctrl-C, SIGTERM and SIGKILL of the command: nothing is orphaned, the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reslab.runs.folder import RunFolder, read_json
from reslab.runs.status import start_time, state

LONG = ["depth=20", "recipe.steps=100000", "checkpoint_every=10", "tracking.mode=offline"]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def group_of(pid):
    """Every live process that descends from `pid`, or whose fork server did."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if fields[0] != "Z":
                found[int(entry.name)] = int(fields[1])
        except OSError:
            continue
    family, grown = {pid}, True
    while grown:
        grown = {child for child, parent in found.items() if parent in family} - family
        family |= grown
    return {p for p in family if p in found}


@pytest.fixture
def running(tmp_path):
    """The command with its run at step 10 or more, and all its processes."""
    log = (tmp_path / "said.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "reslab", "train", "-m", *LONG, "seed=0,1,2"],
        cwd=tmp_path, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip

    def saved():
        return [p.parents[1] for p in tmp_path.glob("outputs/runs/*/seed=*/checkpoints/last.ckpt")]

    try:
        wait_for(lambda: len(saved()) == 2 or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "said.txt").read_text()
        yield process, group_of(process.pid), [RunFolder(path) for path in saved()], tmp_path
    finally:
        if process.poll() is None:
            process.kill()
        log.close()


@pytest.mark.real("Ctrl-C, SIGTERM, SIGKILL of the command")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_no_orphan_and_resumable(running, number, code):
    process, family, folders, outputs = running
    assert len(family) >= 4  # the command, its fork server, two workers
    born = {pid: start_time(pid) for pid in family}
    os.kill(process.pid, number)
    assert process.wait(timeout=20) == code
    wait_for(lambda: not [pid for pid in family if start_time(pid) is not None and start_time(pid) == born[pid]], 10)
    for folder in folders:
        assert state(folder) == "interrupted"
        assert not folder.result.exists()
        assert read_json(folder.status)["step"] >= 0
    if number != signal.SIGKILL:
        said = (outputs / "said.txt").read_text()
        assert "interrupted 2" in said
        assert "not started 1" in said
    # the same command resumes at the checkpoint: the budget is cut to end the test, which makes another cell,
    # so the resumption itself is looked at in test_resume.py; here the lock and the status must let it start
    with folders[0].locked() as free:
        assert free


@pytest.mark.real("Ctrl-C, SIGTERM, SIGKILL of the command")
def test_two_commands_at_once_run_each_run_once(tmp_path):
    command = [sys.executable, "-m", "reslab", "train", "-m", "depth=8", "width=4", "recipe.steps=150", "seed=0,1,2",
               "tracking=disabled"]  # fmt: skip
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    attempts = [read_json(p)["attempt"] for p in tmp_path.glob("outputs/runs/*/*/result.json")]
    assert attempts == [1, 1, 1], said
    (plan,) = tmp_path.glob("outputs/experiments/adhoc/plan.jsonl")
    assert len(plan.read_text().splitlines()) == 3
