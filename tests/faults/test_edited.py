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


@pytest.fixture
def checkout(tmp_path):
    """A repository of the package's code with one commit, and a function that makes the next."""
    folder = tmp_path / "checkout"
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def git(*words):
        names = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        return subprocess.run(["git", "-C", folder, *names, *words], check=True, capture_output=True, text=True).stdout

    def commit():
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "as it is")
        return git("rev-parse", "HEAD").strip()

    git("init", "-q")
    return folder, commit


@pytest.mark.fault("code edited and committed during a sweep", outcome="old code runs and is named; report warns")
def test_code(begin, undisturbed, checkout):
    scene = begin(0, 1, 2)
    folder, commit = checkout
    path = os.pathsep.join([str(folder / "src"), str(ROOT / "tests")])
    before = commit()
    scene.strike(scene.hold(8))
    process = scene.start("seed=0,1", "jobs=1", PYTHONPATH=path)
    scene.held(0)
    sources = [
        p
        for part in ("nets", "data", "training", "callbacks", "tracking")
        for p in (folder / "src/reslab" / part).glob("*.py")
    ]
    whole = {source: source.read_text() for source in sources}
    for source in sources:
        source.write_text("raise RuntimeError('edited')\n")
    commit()
    scene.release(0)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert {result["commit"] for result in scene.read_results().values()} == {before}
    for source, text in whole.items():
        source.write_text(text)
    after = commit()
    process = scene.start(PYTHONPATH=path)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert [scene.read_results()[seed]["commit"] for seed in (0, 1, 2)] == [before, before, after]
    assert any("commit" in line for line in table.warnings(table.runs(scene.outputs, "adhoc")))
    scene.completes(undisturbed)
