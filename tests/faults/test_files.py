"""What can happen to the files of a run, and to the disk that they are on."""

import os
import subprocess

import pytest

from faults.inject import Fault

KILLED_AT = 17  # checkpoints of step 15 (last) and 10 (previous) are there, rows of 0, 6, 12


def halved(path):
    content = path.read_bytes()
    assert len(content) > 1
    path.write_bytes(content[: len(content) // 2])


def half_a_row(scene, folder):
    with folder.metrics.open("a") as file:
        file.write('{"schema": 1, "attempt": 1, "step": 1')


def half_a_result(scene, folder):
    folder.result.write_bytes(scene.folder_of(1).result.read_bytes()[:200])


def half_a_checkpoint(scene, folder):
    halved(folder.checkpoints / "last.ckpt")


def no_whole_checkpoint(scene, folder):
    halved(folder.checkpoints / "last.ckpt")
    halved(folder.checkpoints / "previous.ckpt")


def half_a_config(scene, folder):
    halved(folder.config)


def half_a_line_of_the_plan(scene, folder):
    with scene.plan.open("a") as file:
        file.write('{"schema": 1, "experiment": "adh')


DAMAGE = {
    half_a_checkpoint: ("checkpoint truncated", "resumed from the previous one", [1, 1, 2, 2, 2]),
    no_whole_checkpoint: ("both checkpoints truncated", "started again", [2, 2, 2, 2, 2]),
    half_a_row: ("metrics.jsonl torn", "line passed over; resumed", [1, 1, 1, 2, 2]),
    half_a_result: ("result.json half written", "seen as torn; resumed", [1, 1, 1, 2, 2]),
    half_a_config: ("config.yaml torn", "written anew; resumed", [1, 1, 1, 2, 2]),
    half_a_line_of_the_plan: ("plan.jsonl torn", "line passed over; resumed", [1, 1, 1, 2, 2]),
}
"""What happens, what becomes of it, and the attempt that each row is of."""


@pytest.mark.parametrize(
    ("damage", "rows"),
    [
        pytest.param(damage, rows, id=what, marks=pytest.mark.fault(what, outcome=outcome))
        for damage, (what, outcome, rows) in DAMAGE.items()
    ],
)
def test_damaged(scene, undisturbed, damage, rows):
    scene.strike(Fault("kill", KILLED_AT))
    assert scene.train() == 1
    damage(scene, scene.folder_of(0))
    scene.completes(undisturbed)
    assert [row["attempt"] for row in scene.rows(0)] == rows
    told = "cannot be used" in scene.folder_of(0).log.read_text()
    assert told == (damage in (half_a_checkpoint, no_whole_checkpoint))


@pytest.fixture
def disk(scene):
    """The scene's outputs are a file system of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    scene.outputs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", scene.outputs]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    yield scene.outputs
    subprocess.run(["umount", "-l", scene.outputs], check=True)


@pytest.mark.real("full disk (a small tmpfs)")
@pytest.mark.fault("disk full when a checkpoint is due", outcome="failed, with the reason; resumed")
def test_full_disk(scene, disk, undisturbed, capsys):
    """Also the next run, which finds the disk full when it begins."""
    scene.strike(Fault("fill_disk", 13, flag=str(disk / "filler")))
    assert scene.train("jobs=1") == 1
    said = capsys.readouterr().out
    assert "failed 2" in said
    assert said.count("No space left on device") == 4, said  # of each run, when it ends and in the table
    (disk / "filler").unlink()
    scene.completes(undisturbed)


@pytest.mark.fault("quota reached while a checkpoint is written", outcome="failed, with the reason; resumed")
def test_quota(scene, undisturbed, capsys):
    scene.strike(Fault("limit_files", 13))
    assert scene.train() == 1
    assert scene.states() == {0: "failed", 1: "ended"}
    assert "File too large" in capsys.readouterr().out
    scene.completes(undisturbed)
