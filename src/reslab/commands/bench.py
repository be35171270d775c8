"""`reslab bench part=sweep`: what the machinery costs, beside its targets, with hardware and versions."""

import os
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reslab.launch.bench import figures, sweep, verbs
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.runs.folder import write_json

PARTS = ("sweep",)


def main(arguments: list[str]) -> int:
    """Measure, print the table, write `results`/PART.json and PART.md; 1 if a target is missed."""
    config = _checked(resolve_verb(compose("bench", arguments)[0]))
    part, load, out = config["part"], os.getloadavg()[0], Console(highlight=False)
    out.width = max(out.width, 140)  # tables are never squeezed
    outputs, results = Path(config["outputs"]).absolute(), Path(config["results"]).absolute()
    outputs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=outputs) as folder:
        found = _sweep(config, Path(folder))
        known = figures.evidence(Path(folder), load)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("figure", "value", "target"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in found:
        table.add_row(*figure.cells())
    out.print(table)
    results.mkdir(parents=True, exist_ok=True)
    asked = {name: config[name] for name in ("runs", "seconds", "sizes", "repeats")}
    write_json(results / f"{part}.json", {"part": part, **asked, **known, "figures": figures.record(found)})
    (results / f"{part}.md").write_text(figures.page(part, found, known))
    print(f"wrote {results}/{part}.json and {part}.md")
    return 1 if any(figure.met is False for figure in found) else 0


def _sweep(config: dict[str, Any], folder: Path) -> list[figures.Figure]:
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
    return found + figures.of_commands(took)


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """The same; ValueError for what cannot be measured."""
    if config["part"] not in PARTS:
        raise ValueError(f"part={config['part']} is unknown; it is {', '.join(PARTS)}")
    if not config["seconds"] > 0:
        raise ValueError(f"seconds={config['seconds']} is no length of a training; use seconds=0.1")
    for name in ("runs", "repeats"):
        if config[name] < 1:
            raise ValueError(f"{name}={config[name]} measures nothing; use {name}=1 or more")
    if not all(isinstance(size, int) and size > 0 for size in config["sizes"]):
        raise ValueError(f"sizes={config['sizes']} are not numbers of runs; use sizes=[100,1000]")
    return config
