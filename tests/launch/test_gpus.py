"""The pool of GPUs: a GPU has one holder, whoever asks and whatever becomes of the holder."""

import contextlib
import json
import subprocess
import sys

import pytest

from ranks.work import noting
from reslab.launch import gpus, resources
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer
from reslab.launch.one import Silent
from reslab.launch.pool import Pool
from reslab.runs.folder import read_json


@pytest.fixture
def four(monkeypatch, tmp_path):
    """A machine with four GPUs, and locks of its own."""
    monkeypatch.setattr(resources, "gpu_names", lambda: ["0", "1", "2", "3"])
    monkeypatch.setattr(gpus, "lock_folder", lambda: tmp_path / "locks")


def test_holders_get_different_gpus_and_give_them_back(four):
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    assert gpus.take(2, first) == "0,1"
    assert gpus.take(1, second) == "2"
    assert gpus.take(2, contextlib.ExitStack()) is None
    with contextlib.ExitStack() as third:
        assert gpus.take(1, third) == "3", "asking for too many has held none back"
    first.close()
    with contextlib.ExitStack() as third:
        assert gpus.take(3, third) == "0,1,3"


def test_a_killed_command_gives_its_gpus_back(four, tmp_path):
    code = (
        "import contextlib, time; from pathlib import Path; from reslab.launch import gpus, resources\n"
        "resources.gpu_names = lambda: ['0', '1', '2', '3']\n"
        f"gpus.lock_folder = lambda: Path({str(tmp_path / 'locks')!r})\n"
        "stack = contextlib.ExitStack(); print(gpus.take(3, stack), flush=True); time.sleep(600)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline().strip() == "0,1,2"
    with contextlib.ExitStack() as stack:
        assert gpus.take(1, stack) == "3"
        assert gpus.take(1, stack) is None
    other.kill()
    other.wait()
    other.stdout.close()
    with contextlib.ExitStack() as stack:
        assert gpus.take(4, stack) == "0,1,2,3"


def test_gpus_are_those_that_the_environment_shows(monkeypatch, tmp_path):
    for at in range(3):
        (tmp_path / f"{at}").mkdir()
    monkeypatch.setattr(resources, "DRIVER", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert resources.gpu_names() == ["0", "1", "2"]
    for visible, names in (("2,0", ["2", "0"]), ("GPU-ab12", ["GPU-ab12"]), ("", []), ("-1", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert resources.gpu_names() == names


def test_two_runs_of_two_ranks_at_a_time_never_share_a_gpu(four, tmp_path):
    words = ["depth=8", "width=4", "trainer.accelerator=gpu", "devices=2", f"outputs={tmp_path / 'outputs'}"]
    jobs = [Freezer("test").job(*compose("train", [*words, f"seed={seed}"]), ()) for seed in (0, 1)]
    Pool(jobs, 2, Silent(), {}, work=noting).run()
    given = [{json.loads(f.read_text()) for f in job.folder.path.glob("gpus*.json")} for job in jobs]
    assert given == [{"0,1"}, {"2,3"}]
    assert [read_json(job.folder.result)["outcome"] for job in jobs] == ["trained", "trained"]
    with contextlib.ExitStack() as stack:
        assert gpus.take(4, stack) is not None


@pytest.mark.parametrize(
    ("jobs", "devices", "words"),
    [
        (3, 2, "jobs=3 of 2 devices each is not possible here: 4 gpu slot\\(s\\); use jobs=auto or at most 2"),
        ("auto", 5, "devices=5 is not possible here: 4 gpu slot\\(s\\); use devices=4 or less"),
        (2, 4, "use jobs=auto or jobs=1"),
    ],
)
def test_more_than_the_machine_has_is_refused(four, jobs, devices, words):
    with pytest.raises(ValueError, match=words):
        resources.concurrent(jobs, "gpu", 10, devices)


def test_as_many_at_a_time_as_fit(four):
    assert resources.concurrent("auto", "gpu", 10, 1) == 4
    assert resources.concurrent("auto", "gpu", 10, 2) == 2
    assert resources.concurrent("auto", "gpu", 10, 3) == 1
    assert resources.concurrent("auto", "gpu", 1, 2) == 1
