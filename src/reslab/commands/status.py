"""`reslab status [experiment=NAME]`: how far the runs are, as their folders tell; `watch=true` goes on looking."""

import json
import shlex
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from reslab.launch.checks import check_name
from reslab.launch.compose import compose
from reslab.launch.formats import check_format
from reslab.launch.freeze import resolve_verb
from reslab.report.progress import drawn, experiments_table, headline
from reslab.runs.commands import folder_words
from reslab.runs.overview import Overview, overview
from reslab.runs.plan import NoRunsError, experiments

EVERY, QUIET = 1.0, 5.0  # seconds between two looks on a terminal, and between two lines where there is none


def main(arguments: list[str]) -> int:
    """Print one experiment, or the list of all."""
    config = resolve_verb(compose("status", arguments)[0])
    outputs, name = Path(config["outputs"]).absolute(), config["experiment"]
    as_json, watch = check_format(config["format"]) == "json", config["watch"]
    out = Console(highlight=False, soft_wrap=True)
    out.width = max(out.width, 140)  # tables are never squeezed
    if watch and (as_json or name is None):
        raise ValueError("watch=true shows one experiment on a terminal; use it with experiment=NAME, without format")
    if name is None:
        _list(outputs, out, as_json=as_json)
        return 0
    name = known(outputs, str(name))
    if watch:
        _watch(outputs, name, out)
        return 0
    found = overview(outputs, name)
    if as_json:
        left = None if found.left is None else round(found.left, 2)
        runs = [run.record() for run in found.runs]
        print(json.dumps({**_summary(found), "seconds_left": left, "runs": runs}, indent=1))
    else:
        out.print(drawn(found, outputs))
    return 0


def known(outputs: Path, experiment: str) -> str:
    """The same name; ValueError for an experiment that has no plan."""
    if check_name(experiment) not in experiments(outputs):
        raise NoRunsError(outputs, experiment)
    return experiment


def _list(outputs: Path, out: Console, *, as_json: bool) -> None:
    found, foreign = [], []
    for name in experiments(outputs):
        try:
            found.append(overview(outputs, name, timed=False))
        except ValueError as error:  # a plan of another schema
            foreign.append(str(error))
    print("".join(f"reslab: {said}\n" for said in foreign), end="", file=sys.stderr)
    if as_json:
        print(json.dumps([_summary(one) for one in found], indent=1))
    elif found:
        out.print(experiments_table(found))
        words = shlex.join(["reslab", "status", f"experiment={found[0].experiment}", *folder_words(outputs)])
        out.print(f"one of them in full: {words}", markup=False, soft_wrap=True)
    else:
        out.print(f"no experiment in {outputs} yet; first steps: reslab train experiment=degradation_digits")


def _summary(found: Overview) -> dict[str, object]:
    return {"experiment": found.experiment, "total": len(found.runs), "ended": found.ended, "counts": found.counts}


def _watch(outputs: Path, name: str, out: Console) -> None:
    """Until no run is open: a table that renews itself, or a line when something has changed."""
    if not out.is_terminal:
        _lines(outputs, name, out)
        return
    with Live(drawn(overview(outputs, name), outputs), console=out, auto_refresh=False) as live:
        while True:
            found = overview(outputs, name)
            live.update(drawn(found, outputs), refresh=True)
            if found.over:
                return
            time.sleep(EVERY)


def _lines(outputs: Path, name: str, out: Console) -> None:
    said = ""
    while True:
        found = overview(outputs, name)
        if found.sentence() != said:
            said = found.sentence()
            out.print(headline(found), markup=False)
        if found.over:
            return
        time.sleep(QUIET)
