"""What a user edits while a sweep is on: its runs are those that were asked for."""

import os
import shutil
import subprocess

import pytest

from faults.inject import Fault
from faults.scene import PATIENCE
from reslab.analysis import table
from reslab.launch.paths import conf_folder
from settings import ROOT


@pytest.mark.fault("config edited during a sweep", outcome="frozen config holds")
def test_config(scene, undisturbed):
    """The first run edits; the second begins afterwards."""
    own = scene.folder / "conf" / "act" / "relu.yaml"
    own.parent.mkdir(parents=True)
    shutil.copy(conf_folder() / "act" / "relu.yaml", own)
    scene.strike(Fault("edit", 8, flag=str(own)))
    (scene.folder / "conf/act/relu.yaml.new").write_text("_target_: torch.nn.Tanh\n_partial_: true\n")
    assert scene.train("jobs=1") == 0
    assert "Tanh" in own.read_text()
    shutil.copy(conf_folder() / "act" / "relu.yaml", own)
    scene.completes(undisturbed)


class Checkout:
    """A repository of the package's code, to be edited and committed to."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("src", "conf"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        self._git("init", "-q")
        self.path = os.pathsep.join([str(folder / "src"), str(ROOT / "tests")])

    def _git(self, *words):
        who = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        done = subprocess.run(["git", *who, *words], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self):
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "as it is")
        return self._git("rev-parse", "HEAD")

    def worker_sources(self):
        """What a worker may import: none of it is used by the command itself."""
        parts = ("nets", "data", "training", "callbacks", "tracking")
        return [path for part in parts for path in (self.folder / "src/reslab" / part).glob("*.py")]


def ends(process, code):
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said


@pytest.mark.fault("code edited and committed during a sweep", outcome="old code runs and is named; report tells")
def test_code(wide_scene, undisturbed, tmp_path):
    scene, checkout = wide_scene, Checkout(tmp_path / "checkout")
    before = checkout.commit()
    scene.strike(scene.hold(8), Fault("kill", 8, seed=1))
    process = scene.start("jobs=1", PYTHONPATH=checkout.path)
    scene.held(0)
    whole = {path: path.read_text() for path in checkout.worker_sources()}
    for path in whole:
        path.write_text("raise RuntimeError('edited')\n")
    after = checkout.commit()
    scene.release(0)
    ends(process, 1)
    assert scene.states() == {0: "ended", 1: "failed", 2: "ended"}
    for path, text in whole.items():
        path.write_text(text)
    ends(scene.start(PYTHONPATH=checkout.path), 0)
    found = [scene.read_results()[seed]["commit"] for seed in scene.seeds]
    assert found == [before, f"{before} then {after}+dirty", before]
    assert any("runs differ in commit" in said for said in table.differences(table.runs(scene.outputs, "adhoc")))
    scene.completes(undisturbed)
