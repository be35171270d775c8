"""`reslab verify`: is the instrument right? Known laws beside what it measures; exit code 1 if one does not hold."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reslab.launch.bench.figures import evidence
from reslab.launch.compose import compose
from reslab.launch.formats import check_format
from reslab.launch.freeze import resolve_verb
from reslab.launch.verify.fact import Fact
from reslab.launch.verify.topics import measured
from reslab.runs.folder import write_json

COLUMNS = ("law", "source", "expected", "measured", "tolerance", "pass")


def main(arguments: list[str]) -> int:
    """Measure every law, write OUTPUTS/verify.json, print the table."""
    config = resolve_verb(compose("verify", arguments)[0])
    as_json, outputs = check_format(config["format"]) == "json", Path(config["outputs"]).absolute()
    outputs.mkdir(parents=True, exist_ok=True)
    began, load = time.monotonic(), os.getloadavg()[0]
    found = measured(lambda said: print(said, file=sys.stderr, flush=True))
    facts = [fact.record() | {"topic": topic} for topic, fact in found]
    bad = sum(not fact.passed for _, fact in found)
    record = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "failed": bad,
        "facts": facts,
        **evidence(outputs, load),
    }
    write_json(outputs / "verify.json", record)
    if as_json:
        print(json.dumps(record, indent=1))
    else:
        show(found)
        print(f"{len(found)} laws, {bad} do not hold; {record['seconds']:g} s; wrote {outputs / 'verify.json'}")
    return 1 if bad else 0


def show(found: list[tuple[str, Fact]]) -> None:
    """The table, a section per topic."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("expected", "measured") else "left")
    topic = ""
    for name, fact in found:
        if name != topic:
            table.add_section()
        topic = name
        style = None if fact.passed else "red"
        table.add_row(*(escape(cell) for cell in fact.cells()), style=style)
    out = Console(highlight=False)
    out.width = max(out.width, 160)  # tables are never squeezed
    out.print(table)
