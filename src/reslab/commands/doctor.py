"""`reslab doctor`: is everything here that a run needs? Every check with its fix; exit code 1 if there is a problem."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from reslab.launch import server
from reslab.launch.compose import compose
from reslab.launch.doctor.check import Check
from reslab.launch.doctor.machine import machine_checks
from reslab.launch.doctor.storage import storage_checks
from reslab.launch.doctor.versions import version_checks
from reslab.launch.doctor.worker import worker_checks
from reslab.launch.formats import check_format
from reslab.launch.freeze import resolve_verb

MARKS = {"ok": "[green]ok[/]     ", "note": "note   ", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}


def main(arguments: list[str]) -> int:
    """Run the checks one after another and say what they found."""
    config = resolve_verb(compose("doctor", arguments)[0])
    as_json = check_format(config["format"]) == "json"
    out, found = Console(highlight=False, soft_wrap=True), []
    for check in checks(config):
        found.append(check)
        if not as_json:
            out.print(f"{MARKS[check.level]}  [bold]{check.name:<9}[/]  {escape(check.said)}")
            if check.fix:
                out.print(f"         {'':<9}  fix: {escape(check.fix)}")
    bad = sum(check.level == "problem" for check in found)
    if as_json:
        print(json.dumps([check.record() for check in found], indent=1))
    else:
        warnings = sum(check.level == "warning" for check in found)
        out.print(f"{len(found)} checks, {warnings} warning{'s' * (warnings != 1)}, {bad} problem{'s' * (bad != 1)}")
    return 1 if bad else 0


def checks(config: dict[str, Any]) -> Iterator[Check]:
    """Quick ones first; the worker loads torch while they go on."""
    if config["measure"]:
        server.warm()
    yield from version_checks()
    yield from machine_checks()
    yield from storage_checks(Path(config["outputs"]).absolute(), str(config["data"]["root"]))
    if config["measure"]:
        print(
            "starting a worker and measuring: some seconds (measure=false leaves it out)", file=sys.stderr, flush=True
        )
        yield from worker_checks()
