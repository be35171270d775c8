"""A disk that is full: the run fails with the reason, nothing is lost, the same command goes on."""

import os
import subprocess
from pathlib import Path

import pytest

from reslab.runs.folder import read_json

GRID = ["depth=20", "recipe.steps=12", "evaluation.points=2", "checkpoint_every=4", "tracking=disabled"]
GRID += ["trainer.threads=1"]


@pytest.fixture
def disk(tmp_path):
    """A file system of 1.5 MB: room for the records, not for a second checkpoint of 2.2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    target = tmp_path / "disk"
    target.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", target], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")
    yield target
    subprocess.run(["umount", "-l", target], check=True)


@pytest.mark.real("full disk (a small tmpfs)")
def test_full_disk(train, disk, capsys):
    assert train(*GRID, f"outputs={disk}") == 1
    said = capsys.readouterr().out
    assert "failed 1" in said
    assert "No space left" in said or "PytorchStreamWriter failed" in said, said
    (folder,) = disk.glob("runs/*/seed=0")
    assert not list(folder.glob("checkpoints/*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    assert train(*GRID, f"outputs={disk}") == 0
    assert train(*GRID, "outputs=elsewhere") == 0
    (undisturbed,) = Path("elsewhere").glob("runs/*/seed=0")
    assert read_json(folder / "result.json")["weights"] == read_json(undisturbed / "result.json")["weights"]
