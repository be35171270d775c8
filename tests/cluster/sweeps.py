"""The sweep that every launcher runs, and what must be equal in its records."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

from cluster.slurm import wait_for
from reslab.runs.folder import read_json
from reslab.runs.record import read_rows
from settings import ROOT, SMALL

RUN = (*SMALL, "+callbacks.gate._target_=cluster.gate.Gate", "trust=[cluster]")
GRID = (*RUN, "shortcut=none,identity", "seed=0,1")
OF_THE_PLACE = ("outputs", "command", "overrides", "folder", "jobs", "commit")  # where and how it was asked for
OF_THE_TIME = ("times", "images_per_second", "probes", "hardware", "command", "attempt", "commit")


class Gate:
    """The folder that tells runs of one seed each to wait, to raise or to kill themselves."""

    def __init__(self, folder: Path, **told: str) -> None:
        """`told` has seeds by word, such as wait="01"."""
        self.folder = folder / "gate"
        for word, seeds in told.items():
            (self.folder / word).mkdir(parents=True)
            for seed in seeds:
                (self.folder / word / f"seed={seed}").touch()

    def waiting(self, seeds: str) -> None:
        """Until the runs of these seeds stand at the gate."""
        files = [self.folder / f"seed={seed}" for seed in seeds]
        wait_for(lambda: all(file.exists() and file.read_text() for file in files))

    def process(self, seed: int) -> int:
        """The process of a run that waits."""
        return int((self.folder / f"seed={seed}").read_text())

    def forget(self, seeds: str) -> None:
        """They are expected once more."""
        for seed in seeds:
            (self.folder / f"seed={seed}").unlink()

    def open(self) -> None:
        """Whoever waits goes on."""
        (self.folder / "open").touch()


def config(path: Path) -> dict:
    """A frozen config without what depends on the place."""
    found = yaml.safe_load(path.read_text())
    for name in OF_THE_PLACE:
        found.pop(name, None)
        found["run"].pop(name, None)
    return found


def records(outputs: Path) -> dict:
    """Of each run, everything that must not depend on who ran it."""
    found = {}
    for folder in sorted(outputs.glob("runs/*/seed=*")):
        result = read_json(folder / "result.json") or {}
        rows = [{k: v for k, v in row.items() if k != "attempt"} for row in read_rows(folder / "metrics.jsonl")]
        science = {name: value for name, value in result.items() if name not in OF_THE_TIME}
        found[f"{folder.parent.name}/{folder.name}"] = (config(folder / "config.yaml"), science, rows)
    return found


def same_as(reference: dict, outputs: Path) -> None:
    """Each run that both have, and there is one, has the same records."""
    found = records(outputs)
    both = found.keys() & reference.keys()
    assert both
    for name in both:
        assert found[name] == reference[name]


def attempts(outputs: Path) -> dict[str, int]:
    """Of each run that has a result."""
    return {path.parent.name: (read_json(path) or {})["attempt"] for path in outputs.glob("runs/*/*/result.json")}


def outcomes(outputs: Path) -> dict[str, str]:
    """Of each run that has a result."""
    return {
        path.parent.name: str((read_json(path) or {}).get("outcome")) for path in outputs.glob("runs/*/*/result.json")
    }


@contextlib.contextmanager
def command(folder: Path, environment: dict[str, str], *overrides: str):
    """`reslab train` as a user starts it, its words in said.txt; killed if it is not over at the end."""
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, [environment.get("PYTHONPATH")])])
    words = [sys.executable, "-m", "reslab", "train", "-m", *overrides]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(words, cwd=folder, env=environment | {"PYTHONPATH": path}, stdout=said, stderr=said)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def train(folder: Path, environment: dict[str, str], *overrides: str) -> tuple[int, str]:
    """Exit code and words of a command that ends by itself."""
    with command(folder, environment, *overrides) as process:
        code = process.wait(timeout=240)
    return code, (folder / "said.txt").read_text()
