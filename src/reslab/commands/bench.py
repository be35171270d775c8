"""`reslab bench part=NAME`: what the project costs, beside its targets, with hardware and versions."""

import math
import os
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reslab.launch import resources
from reslab.launch.bench import figures, growth, packing, runs, steps, sweep, verbs
from reslab.launch.bench.figures import Measured
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.runs.folder import write_json

NOT_MEASURED = ("part=", "outputs=", "results=")
"""Words of a command line that change nothing of what is measured."""


def main(arguments: list[str]) -> int:
    """Measure, print the tables, write `results`/PART.json and PART.md; 1 if a target is missed.

    ValueError for settings that measure nothing, and where a run or a worker fails.
    """
    config = resolve_verb(compose("bench", arguments)[0])
    name = config["part"]
    if name not in PARTS:
        raise ValueError(f"part={name} is unknown; it is {', '.join(PARTS)}")
    part = PARTS[name]
    part.check(config)
    load, out = os.getloadavg()[0], Console(highlight=False)
    out.width = max(out.width, 140)  # tables are never squeezed
    outputs, results = Path(config["outputs"]).absolute(), Path(config["results"]).absolute()
    outputs.mkdir(parents=True, exist_ok=True)
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"results={results} cannot be written ({error.strerror}); use results=FOLDER") from error
    with tempfile.TemporaryDirectory(prefix="bench-", dir=outputs) as folder:
        try:
            found = part.measure(config, Path(folder))
        except RuntimeError as error:  # a run or a worker has failed, and says why
            raise ValueError(f"part={name} could not be measured: {error}") from error
        known = figures.evidence(Path(folder), load)
    for sheet in found.sheets:
        out.print(sheet.title, _table(sheet.columns, sheet.rows), "")
    out.print(_table(("figure", "value", "target"), [figure.cells() for figure in found.figures]))
    asked = {setting: config[setting] for setting in part.settings}
    kept = kept_as(config)
    words = shlex.join([f"part={name}", *(word for word in arguments if not word.startswith(NOT_MEASURED))])
    write_json(results / f"{kept}.json", {"part": name, **asked, **known, **figures.record(found)})
    (results / f"{kept}.md").write_text(figures.page(kept, found, known, words))
    print(f"wrote {results}/{kept}.json and {kept}.md")
    return 1 if any(figure.met is False for figure in found.figures) else 0


def kept_as(config: dict[str, Any]) -> str:
    """The name of the results: a GPU's stand beside those of a CPU."""
    gpu = config["part"] == "steps" and config["race"]["trainer"] == "gpu"
    return "steps_gpu" if gpu else str(config["part"])


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    """Names and targets to the left, values to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 or column == "target" else "right")
    for row in rows:
        table.add_row(*row)
    return table


@dataclass(frozen=True)
class Part:
    """One benchmark: ValueError from `check` for what cannot be measured, then `measure` in a temporary folder."""

    check: Callable[[dict[str, Any]], None]
    measure: Callable[[dict[str, Any], Path], Measured]
    settings: tuple[str, ...]
    """The keys of conf/bench.yaml that belong to it; they are recorded beside what was found."""


def _sweep(config: dict[str, Any], folder: Path) -> Measured:
    """The sweep first: its parent's memory is that of a process that has done nothing else."""
    launched, disk = folder / "launched", folder / "disk"
    print(f"launching {config['runs']:,} runs of {config['seconds']:g} s", flush=True)
    found = figures.of_sweep(swept := sweep.sweep(config["runs"], config["seconds"], launched))
    found += figures.of_commands([verbs.measure("report", swept.runs, launched, config["repeats"])])
    took = []
    for size in sorted(config["sizes"]):
        runs = verbs.fill(size, disk)
        print(f"{', '.join(verbs.COMMANDS)} of {runs:,} runs, {config['repeats']} times each", flush=True)
        took += [verbs.measure(verb, runs, disk, config["repeats"]) for verb in verbs.COMMANDS]
    return Measured(found + figures.of_commands(took))


def _check_sweep(config: dict[str, Any]) -> None:
    if not 0 < config["seconds"] < math.inf:
        raise ValueError(f"seconds={config['seconds']} is no length of a training; use seconds=0.1")
    for name in ("runs", "repeats"):
        if config[name] < 1:
            raise ValueError(f"{name}={config[name]} measures nothing; use {name}=1 or more")
    if not all(isinstance(size, int) and size > 0 for size in config["sizes"]):
        raise ValueError(f"sizes={config['sizes']} are not numbers of runs; use sizes=[100,1000]")


def _runs(config: dict[str, Any], folder: Path) -> Measured:
    asked = {name: config[name] for name in ("depths", "seeds", "steps", "repeats")}
    return runs.measure(**asked, folder=folder)


def _check_runs(config: dict[str, Any]) -> None:
    for name in ("seeds", "steps", "repeats"):
        if config[name] < 1:
            raise ValueError(f"{name}={config[name]} measures nothing; use {name}=1 or more")
    depths = config["depths"]
    if not depths or len(set(depths)) < len(depths):
        raise ValueError(f"depths={depths} are not different depths, one at least; use depths=[8,56]")
    _check_depths("depths", depths)


def _check_depths(name: str, depths: list[Any]) -> None:
    if not all(isinstance(depth, int) and depth >= 8 and depth % 6 == 2 for depth in depths):
        raise ValueError(f"{name}={depths} are not depths of 6n + 2 layers; use {name}=[8,20]")


def _steps(config: dict[str, Any], folder: Path) -> Measured:
    return steps.measure(**config["race"], folder=folder)


def _check_steps(config: dict[str, Any]) -> None:
    asked = config["race"]
    if asked["trainer"] not in steps.DEVICES:
        raise ValueError(f"race.trainer={asked['trainer']} is unknown; it is cpu or gpu")
    gpu = asked["trainer"] == "gpu"
    if gpu and not resources.gpus():
        raise ValueError("race.trainer=gpu, but no NVIDIA GPU is to be seen here; use race.trainer=cpu")
    for name in ("depths", "digits"):
        _check_depths(f"race.{name}", asked[name])
    if not asked["depths"] and not asked["digits"]:
        raise ValueError("race.depths=[] race.digits=[] measures nothing; use race.depths=[20]")
    for name in ("width", "rows", "batch", "warm", "steps", "digit_steps", "repeats"):
        if asked[name] < 1:
            raise ValueError(f"race.{name}={asked[name]} measures nothing; use race.{name}=1 or more")
    least = asked["batch"] * (1 if gpu else asked["warm"] + asked["steps"] + 1)  # a GPU can go through them again
    if asked["depths"] and asked["rows"] < least:
        raise ValueError(f"race.rows={asked['rows']} images are fewer than a turn trains on; use race.rows={least}")


def _growth(config: dict[str, Any], folder: Path) -> Measured:
    from reslab.launch.bench import grown  # with Altair, which has no place in a parent whose memory is measured

    return grown.measure(config["growth"], folder, Path(config["results"]).absolute())


def _packing(config: dict[str, Any], folder: Path) -> Measured:
    return packing.measure(**config["packing"], folder=folder)


PARTS: dict[str, Part] = {
    "sweep": Part(_check_sweep, _sweep, ("runs", "seconds", "sizes", "repeats")),
    "steps": Part(_check_steps, _steps, ("race",)),
    "runs": Part(_check_runs, _runs, ("depths", "seeds", "steps", "repeats")),
    "growth": Part(growth.check, _growth, ("growth",)),
    "packing": Part(packing.check, _packing, ("packing",)),
}
