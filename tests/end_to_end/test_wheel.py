"""The wheel works from another folder, where the user's own conf/ and shortcut extend it."""

import os
import subprocess
import sys
import zipfile

import pytest

from settings import ROOT

SHORTCUT = """from reslab.specs import ConvShape, Ops
from reslab.nets.shortcut import identity


def late(span: ConvShape) -> Ops | None:
    return identity(span) if span.changes_shape else None
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel built from the checkout, unpacked by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("reslab-*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder / "site", wheel]
    subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    return wheel, folder / "site"


@pytest.mark.real("wheel in a project of its own")
def test_wheel_carries_conf(installed):
    names = set(zipfile.ZipFile(installed[0]).namelist())
    shipped = {f"reslab/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert shipped
    assert shipped <= names
    assert "hydra_plugins/reslab/local.py" in names
    assert "hydra_plugins/__init__.py" not in names


@pytest.mark.real("wheel in a project of its own")
def test_wheel_in_a_project(installed, tmp_path):
    (tmp_path / "mylab.py").write_text(SHORTCUT)
    (tmp_path / "conf/shortcut").mkdir(parents=True)
    (tmp_path / "conf/shortcut/late.yaml").write_text("_target_: mylab.late\n_partial_: true\n")
    environment = os.environ | {"PYTHONPATH": f"{installed[1]}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "reslab", "train", "-m", "shortcut=late,identity", "debug=smoke", "depth=8"]

    def reslab(*more):
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    where = "import reslab.launch.paths as p; print(p.conf_folder())"
    found = subprocess.run([sys.executable, "-c", where], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.strip() == str(installed[1] / "reslab/conf")
    code, said = reslab()
    assert code == 2
    assert "mylab.late is not trusted; if you know it, add trust=[mylab]" in said
    code, said = reslab("trust=[mylab]")
    assert code == 0, said
    assert len(list(tmp_path.glob("outputs/runs/*/seed=0/result.json"))) == 2
    code, said = reslab("trust=[mylab]", "shortcut=lat")
    assert code == 2
    assert "late" in said
