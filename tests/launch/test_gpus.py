"""The pool of GPUs: a GPU has one holder, whoever asks and whatever becomes of the holder."""

import contextlib
import fcntl
import io
import json
import os
import random
import socket
import subprocess
import sys

import pytest
from rich.console import Console as Terminal

from ranks.work import by_a_command, noting, tell_pipes
from reslab.launch import gpus, resources, server
from reslab.launch.compose import compose
from reslab.launch.console import Console
from reslab.launch.engines import Local
from reslab.launch.freeze import Freezer
from reslab.launch.on_ray import OnRay
from reslab.launch.on_slurm import OnSlurm
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


@pytest.mark.parametrize("places", [1, 3])
def test_a_killed_command_gives_its_gpus_back(four, tmp_path, places):
    code = (
        "import contextlib, time; from pathlib import Path; from reslab.launch import gpus, resources\n"
        "resources.gpu_names = lambda: ['0', '1', '2', '3']\n"
        f"gpus.lock_folder = lambda: Path({str(tmp_path / 'locks')!r})\n"
        f"stack = contextlib.ExitStack(); print(gpus.take(3, stack, {places}), flush=True); time.sleep(600)\n"
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


@pytest.fixture
def two(monkeypatch, tmp_path):
    """A machine with two GPUs, and locks of its own."""
    monkeypatch.setattr(resources, "gpu_names", lambda: ["0", "1"])
    monkeypatch.setattr(gpus, "lock_folder", lambda: tmp_path / "locks")


def lent(count=1, places=1):
    """What a run gets, and what holds it."""
    stack = contextlib.ExitStack()
    return gpus.take(count, stack, places), stack


def offered(count=1, places=1):
    """What a run would get, given back at once."""
    with contextlib.ExitStack() as stack:
        return gpus.take(count, stack, places)


def test_places_are_those_of_the_emptiest_gpu(four):
    names = [lent(places=2) for _ in range(9)]
    assert [name for name, _ in names] == ["0", "1", "2", "3", "0", "1", "2", "3", None]
    for at in (1, 5, 3):  # the second GPU is empty now, the fourth has one run
        names[at][1].close()
    assert offered(places=2) == offered(places=2) == "1"
    held = [lent(places=2) for _ in range(4)]
    assert [name for name, _ in held] == ["1", "1", "3", None]


def test_a_run_of_several_gpus_takes_one_place_on_each(four):
    first, _one = lent(2, places=2)
    second, _two = lent(3, places=2)
    assert (first, second) == ("0,1", "0,2,3")
    assert offered(4, places=2) is None, "the first GPU is full"
    assert offered(3, places=2) == "1,2,3", "and nothing was held in vain"


def test_who_wants_a_gpu_alone_gets_it_alone(two):
    sharing = [lent(places=3) for _ in range(3)]
    assert [name for name, _ in sharing] == ["0", "1", "0"]
    assert offered() is None
    sharing[1][1].close()
    name, alone = lent()
    assert name == "1"
    more = [lent(places=4) for _ in range(3)]
    assert [name for name, _ in more] == ["0", "0", None], "nobody joins it"
    alone.close()
    assert offered(places=3) == "1"


def test_an_old_command_and_one_that_shares_exclude_each_other(two, tmp_path):
    """It knows one lock a GPU, and takes it for itself."""
    _name, sharing = lent(places=2)
    with open(tmp_path / "locks" / "0.lock", "w") as old:
        with pytest.raises(BlockingIOError):
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sharing.close()
        fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert offered(places=2) == "1"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_no_gpu_has_too_many(four, seed):
    """Against a list of who is where: runs that share by 1, 2 and 4 and take 1 or 2 GPUs, ending in any order."""
    draw, running = random.Random(seed), []
    for _ in range(60):
        if running and draw.random() < 0.4:
            running.pop(draw.randrange(len(running)))[2].close()
        count, places = draw.choice((1, 1, 2)), draw.choice((1, 2, 4))
        load = {name: [shared for names, shared, _ in running if name in names] for name in "0123"}
        name, stack = lent(count, places)
        fits = [n for n, on in load.items() if not on or (places > 1 and 1 not in on and len(on) < places)]
        if name is None:
            assert len(fits) < count
            continue
        names = name.split(",")
        assert len(set(names)) == count
        for one in names:
            on = load[one]
            assert not on or (places > 1 and 1 not in on)
            assert len(on) + 1 <= max([places, *on])
        most = max(len(load[one]) for one in names)
        assert sum(len(load[n]) < most for n in fits if n not in names) == 0, "an emptier GPU was passed over"
        running.append((names, places, stack))
    for _, _, stack in running:
        stack.close()
    assert offered(4) == "0,1,2,3"


def test_gpus_are_those_that_the_environment_shows(monkeypatch, tmp_path):
    for at in range(3):
        (tmp_path / f"{at}").mkdir()
    monkeypatch.setattr(resources, "DRIVER", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert resources.gpu_names() == ["0", "1", "2"]
    for visible, names in (
        ("2,0", ["2", "0"]),
        ("GPU-ab12", ["GPU-ab12"]),
        ("", []),
        ("-1", []),
        ("0,0, 1", ["0", "1"]),
    ):
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
        (2, 4, "use jobs=auto or jobs=1, or runs_per_gpu=2: small nets can share a GPU"),
        (9, 1, "jobs=9 is not possible here: 4 gpu slot\\(s\\); use jobs=auto or at most 4, or runs_per_gpu=3"),
        (0, 1, "use jobs=auto or at most 4$"),
    ],
)
def test_more_than_the_machine_has_is_refused(four, jobs, devices, words):
    with pytest.raises(ValueError, match=words):
        resources.concurrent(jobs, "gpu", 10, devices)


def test_more_than_share_a_gpu_is_refused(four):
    with pytest.raises(
        ValueError, match=r"4 gpu slot\(s\) for 2 runs each; use jobs=auto or at most 8, or runs_per_gpu=3"
    ):
        resources.concurrent(9, "gpu", 10, 1, runs_per_gpu=2)
    with pytest.raises(ValueError, match=r"devices=5 is not possible here: 4 gpu slot\(s\); use devices=4 or less"):
        resources.concurrent("auto", "gpu", 10, 5, runs_per_gpu=2)


def test_as_many_at_a_time_as_fit(four):
    assert resources.concurrent("auto", "gpu", 10, 1) == 4
    assert resources.concurrent("auto", "gpu", 10, 2) == 2
    assert resources.concurrent("auto", "gpu", 10, 3) == 1
    assert resources.concurrent("auto", "gpu", 1, 2) == 1
    assert resources.concurrent("auto", "gpu", 99, 1, runs_per_gpu=8) == 32
    assert resources.concurrent("auto", "gpu", 99, 3, runs_per_gpu=2) == 2
    assert resources.concurrent(5, "gpu", 99, 1, runs_per_gpu=2) == 5
    assert resources.concurrent("auto", "cpu", 99, 1, runs_per_gpu=8) == resources.cores()


def composed(*words):
    """A job of a small net."""
    return Freezer("test").job(*compose("train", ["depth=8", "width=4", *words]), ())


@pytest.mark.parametrize("word", ["trainer=cpu", "trainer=auto"])
def test_a_cpu_has_nothing_to_share(monkeypatch, word):
    monkeypatch.setattr(resources, "gpu_names", lambda: [])
    with pytest.raises(
        ValueError, match=r"runs_per_gpu=4, but these runs train on the CPU.*use runs_per_gpu=1, and jobs=N"
    ):
        composed(word, "runs_per_gpu=4")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", "many"])
def test_a_number_of_runs_is_whole_and_positive(four, value):
    with pytest.raises(ValueError, match=r"runs_per_gpu=\S+ is not an integer"):
        composed(f"runs_per_gpu={value}")


def test_runs_that_share_are_the_same_cells(four):
    assert composed("runs_per_gpu=4").cell == composed().cell


def test_clusters_lend_whole_gpus(four):
    jobs = [composed("runs_per_gpu=4")]
    slurm = OnSlurm(
        partition=None, gpus_per_run=1, cpus_per_run=1, memory_gb=4, minutes=60, timeouts=1, warn_seconds=90, setup=[],
        sbatch={},
    )  # fmt: skip
    ray = OnRay(address="local", gpus_per_run=1, cpus_per_run=1, memory_gb=None, retries=1)
    for engine, name in ((slurm, "slurm"), (ray, "ray")):
        with pytest.raises(ValueError, match=rf"launcher={name}: runs_per_gpu=4 is not possible.*use runs_per_gpu=1"):
            engine.check(jobs)


def test_four_runs_on_two_gpus_by_two(two, tmp_path):
    """All at the same time, for each waits for the others."""
    words = ["trainer.accelerator=gpu", "runs_per_gpu=2", f"outputs={tmp_path / 'outputs'}"]
    jobs = [composed(*words, f"seed={seed}") for seed in range(4)]
    Local().check([composed("runs_per_gpu=2", "jobs=4", f"seed={seed}") for seed in range(9)])
    with pytest.raises(ValueError, match="jobs=5 is not possible here"):
        Local().check([composed("runs_per_gpu=2", "jobs=5")])
    Pool(jobs, 4, Silent(), {}, work=noting).run()
    said = [json.loads((job.folder.path / "gpus0.json").read_text()) for job in jobs]
    assert said == ["0", "1", "0", "1"]
    assert offered(2) == "0,1"


def test_threads_are_shared_by_all_runs_at_a_time(four, monkeypatch, tmp_path):
    """Also where several sit on one GPU; `auto` gives a net that is too small for two threads one."""
    monkeypatch.setattr(resources, "cores", lambda: 16)
    given = []
    monkeypatch.setattr(server, "start", lambda *_, threads, **__: given.append(threads) or Gone())
    words = ("data=synthetic", "data.size=64", "recipe.batch=128", "depth=56", "width=64", "data.rows.train=512")
    words = [*words, "trainer.accelerator=gpu", "runs_per_gpu=2", f"outputs={tmp_path / 'outputs'}"]
    Local().run([composed(*words, f"seed={n}") for n in range(8)], Console(Terminal(file=io.StringIO())), {})
    assert given == [2] * 8


class Gone:
    """A process that has ended."""

    exitcode = 0

    def is_alive(self):
        return False

    def join(self, timeout=None):
        pass

    def terminate(self):
        pass


def test_mps_is_on_where_its_pipe_is(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "PIPES", str(tmp_path / "usual"))
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    assert not resources.mps()
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / "control").touch()
    assert not resources.mps(), "a file is no daemon"
    (tmp_path / "usual" / "control").unlink()
    os.mkfifo(tmp_path / "usual" / "control")
    assert resources.mps()
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "own"))
    assert not resources.mps()
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("control")
        assert resources.mps()


def test_workers_find_the_mps_of_the_command(tmp_path):
    """In a process of its own: the fork server of this one has its environment already."""
    ended, log = by_a_command(tmp_path, tell_pipes, CUDA_MPS_PIPE_DIRECTORY="/pipes/of/mine")
    assert (ended.returncode, log.split()) == (0, ["/pipes/of/mine"])
