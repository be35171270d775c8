"""A sweep to which something happens, and what must hold afterwards whatever it was."""

import json
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults.inject import Fault
from reslab.launch import server
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.integrity import problems
from reslab.runs.plan import plan_file, read_plan
from reslab.runs.record import read_rows
from reslab.runs.status import attempts, state
from settings import ROOT

STEPS = 24
GRID = ("-m", "depth=8", "width=4", f"recipe.steps={STEPS}", "evaluation.points=4", "checkpoint_every=5")
GRID += (
    "trainer.threads=1",
    "probes=off",
    "tracking=disabled",
    "trust=[faults]",
    "+callbacks.faults._target_=faults.inject.Faults",
)
"""Rows are due at 6, 12, 18, 24 and checkpoints at 5, 10, 15, 20."""
OF_THE_MOMENT = ("times", "images_per_second", "probes", "attempt", "hardware", "command", "commit")
PATIENCE = 120.0  # seconds; that the machine is busy is no fault
MARK = "RESLAB_FAULTS"


def until(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `found` gives, once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain")


def living(mark: str) -> set[int]:
    """Processes that were started with this mark in their environment, by whatever ancestor; zombies left aside."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            zombie = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            if not zombie and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


class Scene:
    """One sweep in a folder of its own, run inside the test (`train`) or by a command of its own (`start`)."""

    def __init__(self, folder: Path, train: Callable[..., int], *, seeds: tuple[int, ...]) -> None:
        """`train` is the fixture."""
        self.folder, self._train, self.seeds = folder, train, seeds
        self.grid: tuple[str, ...] = (*GRID, f"seed={','.join(map(str, seeds))}")
        self.outputs, self._mark = folder / "outputs", uuid.uuid4().hex
        self.plan = plan_file(self.outputs, "adhoc")
        os.environ.setdefault(MARK, uuid.uuid4().hex)  # the fork server of this process starts with it, if not before
        self._started: list[subprocess.Popen[str]] = []
        server.warm()
        self._standing = self.processes()

    def strike(self, *faults: Fault) -> None:
        """Let this happen at the first attempt."""
        (self.folder / "faults.json").write_text(json.dumps([asdict(fault) for fault in faults]))

    def hold(self, step: int, *, seed: int = 0) -> Fault:
        """A fault that only waits: see `held` and `release`."""
        return Fault("hold", step, seed=seed, flag=str(self.folder / f"seed{seed}"))

    def held(self, *seeds: int) -> None:
        """Wait until these runs stand still."""

        def found() -> bool:
            assert self._started[-1].poll() is None, self._started[-1].communicate()[0]
            return all((self.folder / f"seed{seed}.struck").exists() for seed in seeds)

        until(found)

    def release(self, *seeds: int) -> None:
        """Let them go on."""
        for seed in seeds:
            (self.folder / f"seed{seed}.go").touch()

    def train(self, *more: str) -> int:
        """The command's exit code."""
        return self._train(*self.grid, *more)

    def start(self, *more: str, **environment: str) -> subprocess.Popen[str]:
        """The command in a process of its own."""
        given = {name: value for name, value in os.environ.items() if name != "RESLAB_PARENT"}
        given |= {MARK: self._mark, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
        process = subprocess.Popen(
            [sys.executable, "-m", "reslab", "train", *self.grid, *more],
            cwd=self.folder, env=given | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test has left."""
        for process in self._started:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()

    def processes(self) -> set[int]:
        """What lives of all that was started for this scene; this process's fork server and tracker left aside."""
        own = {
            multiprocessing.forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
            multiprocessing.resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
        }
        return (living(self._mark) | living(os.environ[MARK])) - own

    def entries(self) -> dict[int, tuple[RunFolder, dict[str, Any]]]:
        """The plan by seed: folder and line."""
        return {entry["seed"]: (RunFolder(self.outputs / entry["folder"]), entry) for entry in read_plan(self.plan)}

    def folder_of(self, seed: int) -> RunFolder:
        """Where a run lies."""
        return self.entries()[seed][0]

    def states(self) -> dict[int, str]:
        """State of each planned run by seed."""
        return {seed: state(folder) for seed, (folder, _) in self.entries().items()}

    def results(self) -> dict[int, bytes]:
        """Results of the ended runs by seed, to the byte."""
        return {
            seed: self.folder_of(seed).result.read_bytes() for seed, found in self.states().items() if found == "ended"
        }

    def read_results(self) -> dict[int, dict[str, Any]]:
        """Results by seed, of whatever outcome."""
        return {seed: read_json(folder.result) or {} for seed, (folder, _) in self.entries().items()}

    def rows(self, seed: int) -> list[dict[str, Any]]:
        """The rows of a run that count."""
        return read_rows(self.folder_of(seed).metrics)

    def attempts(self) -> dict[int, int]:
        """How often each run was tried, by seed."""
        return {seed: attempts(folder)[0] for seed, (folder, _) in self.entries().items()}

    def no_orphan(self, seconds: float = 30.0) -> None:
        """Nothing that was started lives on; the kernel takes a moment to end what has lost its parent."""
        until(lambda: not self.processes() - self._standing, seconds)

    def science(self) -> dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]:
        """By seed what a run found: its result without what belongs to the moment, its rows without their attempt."""
        found = {}
        for seed, result in self.read_results().items():
            rows = [{k: v for k, v in row.items() if k != "attempt"} for row in self.rows(seed)]
            found[seed] = {k: v for k, v in result.items() if k not in OF_THE_MOMENT}, rows
        return found

    def completes(self, undisturbed: Mapping[int, Any], *more: str) -> None:
        """What must hold after every fault; the same command again makes the sweep what it would have been."""
        self.no_orphan()
        assert self.states().keys() == set(self.seeds), "a run was lost"
        assert "running" not in self.states().values()
        ended, tried = self.results(), self.attempts()
        assert self.train(*more) == 0
        self.no_orphan()
        assert set(self.states().values()) == {"ended"}
        assert {seed: self.results()[seed] for seed in ended} == ended, "what had ended was touched"
        assert self.attempts() == {seed: tried[seed] + (seed not in ended) for seed in self.seeds}, "not what missed"
        for folder, entry in self.entries().values():
            assert problems(folder, entry) == []
        for seed, found in self.science().items():
            assert found == undisturbed[seed]
        names = [p.name for p in self.outputs.glob("runs/*/*/**/*")]
        assert {name for name in names if name.endswith(".tmp") or name.startswith(".")} == {".lock"}
