"""`reslab doctor`: what is wrong is found, told with its fix, and nothing is left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from reslab.commands import doctor
from reslab.commands.doctor import main
from reslab.launch.doctor import machine, storage, versions, worker
from reslab.launch.doctor.check import Check

GOOD = {"torch": "2.9.0", "pytorch-lightning": "2.6.1", "hydra-core": "1.3.2", "wandb": "0.31.4"}
WANTED = [
    Requirement(line)
    for line in (
        "torch>=2.6",
        "pytorch-lightning>=2.6,!=2.6.2,!=2.6.3,<3",
        "hydra-core>=1.3.2,<1.4",
        "wandb>=0.31,<0.32",
    )
]


def bad(checks):
    return [(check.name, check.level) for check in checks if check.level != "ok"]


def test_good_versions():
    assert bad(versions.package_checks(WANTED, GOOD)) == []


@pytest.mark.parametrize("name", ["pytorch-lightning", "lightning"])
@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_malicious_releases_are_a_problem(name, version):
    found = versions.package_checks(WANTED, GOOD | {name: version})
    assert (name, "problem") in bad(found)
    told = next(check for check in found if check.level == "problem")
    assert "malicious" in told.said
    assert f"pip uninstall {name}" in told.fix
    assert "change every password" in told.fix


def test_two_lightnings_are_a_warning():
    assert bad(versions.package_checks(WANTED, GOOD | {"lightning": "2.6.1"})) == [("lightning", "warning")]


@pytest.mark.parametrize(
    ("name", "version"), [("torch", "2.5.1"), ("hydra-core", "1.4.0"), ("wandb", "0.32.0"), ("wandb", "0.30.1")]
)
def test_versions_outside_our_metadata(name, version):
    found = versions.package_checks(WANTED, GOOD | {name: version})
    assert bad(found) == [(name, "problem")]
    assert version in found[-1].said
    assert "pip install" in found[-1].fix
    assert "3 of 4 requirements" in found[0].said


def test_a_missing_package():
    found = versions.package_checks(WANTED, {k: v for k, v in GOOD.items() if k != "wandb"})
    assert bad(found) == [("wandb", "problem")]


def test_a_local_build_is_within_its_pin():
    assert bad(versions.package_checks(WANTED, GOOD | {"torch": "2.9.0+cpu"})) == []


@pytest.mark.parametrize(("version", "level"), [("3.10.9", "problem"), ("3.11.0", "ok"), ("3.14.0rc1", "ok")])
def test_python(version, level):
    assert versions.python_check(version, ">=3.11").level == level


def test_gpus_against_the_build_of_torch(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.gpu_check(2, "2.9.0+cpu").level == "problem"
    assert machine.gpu_check(2, "2.9.0+cu128").level == "ok"
    assert machine.gpu_check(0, "2.9.0+cpu").level == "ok"
    monkeypatch.setattr("reslab.launch.resources.mps", lambda: True)
    assert machine.gpu_check(1, "2.9.0+cu128").said.endswith("runs_per_gpu=N runs share one at once: MPS is on")


def test_memory(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:     2048 kB\n")
    assert machine.memory_free(tmp_path / "meminfo") == 2 * 2**20
    assert machine.memory_free(tmp_path / "none") is None
    monkeypatch.setattr(machine, "memory_free", lambda: 1000)
    assert machine.cores_check().level == "warning"


def test_the_mode_of_wandb(monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    assert machine.wandb_check().said.startswith("offline (no key")
    monkeypatch.setenv("WANDB_MODE", "online")
    assert machine.wandb_check().level == "warning"
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert (machine.wandb_check().level, machine.wandb_check().said) == ("ok", "online (WANDB_MODE)")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert machine.wandb_check().said.startswith("disabled")


@pytest.mark.parametrize(("head", "level"), [("", "ok"), ("a" * 40, "ok"), ("a" * 40 + "+dirty", "warning")])
def test_git(head, level):
    assert machine.git_check(head).level == level


@pytest.mark.parametrize(("free", "level"), [(0.5, "problem"), (3.0, "warning"), (50.0, "ok")])
def test_space(free, level):
    assert storage.space_check("said", free).level == level


def test_a_disk_that_works_is_left_as_it_was(tmp_path):
    outputs = tmp_path / "deep" / "outputs"
    assert [check.name for check in storage.disk_checks(outputs)] == ["disk", "records"]
    assert bad(storage.disk_checks(outputs)[1:]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    assert bad(storage.disk_checks(tmp_path)[1:]) == [("records", "problem")]


def test_a_disk_without_rename(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("not here")

    monkeypatch.setattr(Path, "replace", refuse)
    (found,) = storage.disk_checks(tmp_path)[1:]
    assert found.said.startswith("rename fails in")
    assert found.level == "problem"


def test_a_place_that_cannot_be_written(monkeypatch):
    """/proc takes no folder, not even from root."""
    found = storage.disk_checks(Path("/proc/outputs"))
    assert ("records", "problem") in bad(found)
    assert "outputs=FOLDER" in found[-1].fix


@pytest.mark.parametrize("below", ["", "deep/outputs"])
def test_outputs_that_is_a_file(tmp_path, below):
    (tmp_path / "outputs").write_text("not a folder")
    (found,) = storage.disk_checks(tmp_path / "outputs" / below)
    assert (found.level, found.said) == ("problem", f"{tmp_path / 'outputs'} is a file, not a folder")
    assert "outputs=FOLDER" in found.fix


def test_the_file_system_is_that_of_the_longest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /mnt nfs4 rw 0 0\nc /mnt/own\\040disk xfs rw 0 0\nd /mntx btrfs rw 0 0\n")
    found = [storage.file_system(Path(p), mounts) for p in ("/srv/x", "/mnt/x", "/mnt/own disk/x", "/mnt", "/mntx")]
    assert found == ["ext4", "nfs4", "xfs", "nfs4", "btrfs"]
    assert storage.file_system(tmp_path, tmp_path / "none") == "unknown"


def test_digits_of_another_content(monkeypatch):
    assert storage.digits_check().level == "ok"
    monkeypatch.setattr(storage.Digits, "fingerprint", lambda self: "0" * 64)
    assert storage.digits_check().level == "warning"


def test_cifar_absent_altered_and_there(tmp_path):
    absent = storage.cifar_check(str(tmp_path))
    assert (absent.level, absent.fix) == ("note", "")
    assert absent.said.startswith(f"absent from {tmp_path}; only data=cifar10 needs it")
    assert "data.root=FOLDER" in absent.said
    (tmp_path / "data_batch_1").write_bytes(b"something else")
    altered = storage.cifar_check(str(tmp_path))
    assert altered.level == "problem"
    assert "data_batch_1 (14 bytes) has MD5" in altered.said
    (tmp_path / "data_batch_1").unlink()
    for part in ("train", "test"):
        (tmp_path / f"{part}.parquet").write_bytes(part.encode())
    first = storage.cifar_check(str(tmp_path))
    (tmp_path / "test.parquet").write_bytes(b"changed")
    assert (first.level, "fingerprint" in first.said) == ("ok", True)
    assert storage.cifar_check(str(tmp_path)).said != first.said


def rates(fp32, bf16):
    own = {"fp32 contiguous": 100.0, "fp32 channels_last": fp32, "bf16-mixed contiguous": 1.0}
    return {"torch": "2.9", "gpus": 0, "device": "cpu", "threads": 1, "rates": own | {"bf16-mixed channels_last": bf16}}


@pytest.mark.parametrize(("bf16", "best"), [(50.0, "fp32"), (105.0, "fp32"), (120.0, "bf16-mixed")])
def test_the_precision_is_that_of_the_measured_rates(bf16, best):
    said = worker.precision_check(rates(100.0, bf16)).said
    assert f"recipe.precision={best} " in said
    assert f"x{bf16 / 100:.2f}" in said


@pytest.mark.parametrize(
    ("fp32", "words"), [(138.0, "faster than contiguous (x1.38)"), (72.0, "slower than contiguous (x0.72)")]
)
def test_the_layout_is_told_in_words(fp32, words):
    assert worker.precision_check(rates(fp32, 50.0)).said.endswith(f"in fp32 channels_last is {words}")


def test_torch_that_sees_fewer_gpus_than_the_driver():
    assert worker.sees(rates(1.0, 1.0), 1).level == "problem"
    assert worker.sees(rates(1.0, 1.0), 0).level == "ok"


@pytest.mark.real("doctor's worker from the fork server")
def test_a_real_worker_measures(monkeypatch, capsys):
    found = worker.worker_checks()
    assert [check.name for check in found] == ["worker", "torch", "precision"]
    assert bad(found) == []


def test_a_worker_that_dies_is_a_problem(monkeypatch):
    monkeypatch.setattr(worker, "_measure", int)  # which takes no path
    (found,) = worker.worker_checks()
    assert (found.name, found.level) == ("worker", "problem")
    assert "exit code 1: ValueError: invalid literal for int()" in found.said


@pytest.fixture
def fixed(monkeypatch, tmp_path):
    """The command with these findings."""
    monkeypatch.chdir(tmp_path)

    def call(*found, words=()):
        monkeypatch.setattr(doctor, "checks", lambda config: iter(found))
        return main(list(words))

    return call


def test_the_exit_code_is_that_of_problems(fixed, capsys):
    good, warning = Check("a", "ok", "fine"), Check("b", "warning", "hm", "do [this]")
    problem = Check("c", "problem", "broken", "mend it")
    assert fixed(good, warning) == 0
    said = capsys.readouterr().out
    assert "fix: do [this]" in said
    assert "2 checks, 1 warning, 0 problems" in said
    assert fixed(Check("d", "note", "absent")) == 0
    said = capsys.readouterr().out
    assert said.startswith("note ")
    assert "1 checks, 0 warnings, 0 problems" in said
    assert fixed(good, problem) == 1
    assert fixed(problem, words=["format=json"]) == 1
    out = capsys.readouterr().out
    assert json.loads(out[out.index("[\n") :])[0] == {
        "name": "c",
        "level": "problem",
        "said": "broken",
        "fix": "mend it",
    }


def test_every_warning_and_problem_has_a_fix(monkeypatch):
    """Of all that the checks above can say."""
    made = [machine.gpu_check(1, "2+cpu"), machine.git_check("a+dirty"), storage.space_check("", 0.1)]
    made += [*versions.package_checks(WANTED, {"lightning": "2.6.2"}), worker.sees(rates(1.0, 1.0), 1)]
    for check in made:
        assert bool(check.fix) == (check.level != "ok"), check


@pytest.mark.parametrize(
    ("words", "said"),
    [(["format=xml"], "text (for people)"), (["measure=1"], "not true or false"), (["x=1"], "unknown key 'x'")],
)
def test_nonsense(words, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "reslab", "doctor", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_measuring_no_torch_is_loaded(tmp_path):
    code = """
import sys
sys.argv = ["reslab", "doctor", "measure=false", "format=json"]
from reslab.commands.main import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, 1), end.code
heavy = [name for name in ("torch", "wandb", "pytorch_lightning", "sklearn", "polars", "altair") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {check["name"] for check in json.loads(done.stdout)} >= {"Python", "packages", "cores", "W&B", "git", "disk"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("gpus", "cores", "level", "words"),
    [
        (0, 1, "ok", "one per run"),
        (0, 2, "ok", "devices=2: gloo on the CPU, as reslab's tests run it"),
        (1, 8, "ok", "devices=2 to 8: gloo"),
        (4, 8, "warning", "devices=2 to 4: NCCL, which reslab's makers had no machine to run on"),
    ],
)
def test_ranks_say_what_has_been_run(gpus, cores, level, words):
    found = machine.ranks_check(gpus, cores)
    assert found.level == level
    assert words in found.said


def test_launchers_name_what_is_missing():
    said = machine.launchers_check(lambda name: None).said
    assert "slurm: no sbatch on PATH" in said
    assert said.startswith("local, basic, ray, joblib")
