"""A W&B server of one's own, and runs and commands that know no other."""

import shutil
import sys
import time
from pathlib import Path

import pytest

from reslab.launch import server as processes
from reslab.launch.begin import begin
from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer
from reslab.launch.pool import train as work
from reslab.launch.ranks import Place
from reslab.launch.sweep import prepare, write_plan
from settings import SMALL
from tracking import troubles
from tracking.wandb_server import KEY, Server

LIMITS = {"init_timeout": 3, "finish_timeout": 4}


@pytest.fixture
def wandb():
    """The server, with nothing in it."""
    server = Server()
    yield server
    server.delay = 0
    server.down()


class Lab:
    """Runs and commands in processes of their own, in one folder, tracked by one server."""

    def __init__(self, folder, url):
        self.folder, self.outputs = folder, folder / "outputs"
        self.environment = {
            "WANDB_BASE_URL": url,
            "WANDB_API_KEY": KEY,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
            **{f"WANDB_{name}_DIR": str(folder / f"wandb-{name.lower()}") for name in ("CONFIG", "CACHE", "DATA")},
        }

    def job(self, *overrides):
        """A planned run, logged online."""
        limits = [f"tracking.{name}={seconds}" for name, seconds in LIMITS.items()]
        words = [w for w in SMALL if not w.startswith("tracking")] + ["probes=off", "tracking.mode=online", *limits]
        composed, choices = compose("train", [*words, f"outputs={self.outputs}", *overrides])
        made = Freezer("reslab train").job(composed, choices, ())
        write_plan([made])
        prepare([made])
        return made

    def start(self, made, target=work, *args):
        """One attempt of the run; the process."""
        begin(made, 1)
        words = (str(made.folder.path), Place(), *args)
        return processes.start(target, words, log=made.folder.log, environment=self.environment, threads=1)

    def run(self, made, target=work, *args):
        """The same, waited for; exit code."""
        process = self.start(made, target, *args)
        process.join()
        return process.exitcode

    def push(self, *words, experiment="adhoc", drawn=False, **environment):
        """reslab push of what lies here, with short limits; exit code and all that it said."""
        process = self.start_push(*words, experiment=experiment, drawn=drawn, **environment)
        process.join()
        return process.exitcode, self.said()

    def start_push(self, *words, experiment="adhoc", drawn=False, **environment):
        """The same, not waited for."""
        where = [f"experiment={experiment}", f"outputs={self.outputs}", *(f"{k}={v}" for k, v in LIMITS.items())]
        target = (["push", *where, *words], str(self.folder / "said.txt"), drawn)
        given, log = self.environment | environment, self.folder / "log.txt"
        return processes.start(troubles.command, target, log=log, environment=given, threads=1)

    def said(self):
        """What the last command printed, the traces of its processes included."""
        return (self.folder / "said.txt").read_text() + (self.folder / "log.txt").read_text()


@pytest.fixture
def lab(wandb, tmp_path):
    """A folder of one's own whose W&B is the server."""
    return Lab(tmp_path, wandb.url)


def until(found, seconds=60):
    """Wait for something to become true."""
    for _ in range(seconds * 100):
        if found():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="session")
def untracked(tmp_path_factory):
    """Outputs with five runs that were tracked nowhere, one of them diverged; read them, do not change them."""
    folder = tmp_path_factory.mktemp("untracked")
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.chdir(folder)
        context.setattr(sys, "argv", ["reslab"])
        from reslab.commands.train import main

        assert main(["-m", *SMALL, "probes=off", "shortcut=none,identity", "depth=8,14"]) == 0
        main([*SMALL, "probes=off", "depth=14", "shortcut=none", "recipe.lr=1e20", "seed=1"])
    return folder / "outputs"


@pytest.fixture
def records(untracked, lab):
    """The same five runs, copied into the lab."""
    shutil.copytree(untracked, lab.outputs)
    return Path(lab.outputs)
