"""Tables of how far experiments are."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reslab.runs.commands import again
from reslab.runs.overview import Overview, View, varied
from reslab.runs.pace import clock
from reslab.runs.status import DONE

LEFT = ("new", "interrupted", "failed")
FEW = 3  # commands
MANY = 40  # runs; beyond, cells are summed up and only what is not simply ended gets a row
COLOURS = {"trained": "green", "running": "cyan", "new": "dim", "failed": "red", "edited": "red", "other schema": "red"}


def headline(found: Overview) -> str:
    """Counts, and the time left while something runs."""
    left = f" · ~{clock(found.left)} left" if found.left is not None else ""
    return f"{found.experiment} · {found.sentence()}{left}"


def drawn(found: Overview, outputs: Path) -> Group:
    """Headline, one row per run (or per cell beyond `MANY` runs), what is to be said of single runs, and what is next.

    `outputs` is the folder of all of them.
    """
    runs = found.runs
    parts: list[Text | Table] = [Text(headline(found), style="bold")]
    if len(runs) > MANY:
        parts.append(_cells(runs))
        runs = tuple(run for run in runs if run.state not in (*DONE, "new"))
    if runs:
        parts.append(_rows(runs))
    notes = [
        f"{run.state}: {run.entry['label']}-{run.entry['cell'][:8]} seed={run.entry['seed']}: {said}"
        for run in found.runs
        for said in run.notes
        if run.state not in ("trained", "at_chance")
    ]
    shown = [*notes[:20], *([f"and {len(notes) - 20} more notes: format=json has them all"] if len(notes) > 20 else [])]
    return Group(*parts, *(Text(line) for line in [*shown, *_advice(found, outputs)]))


def experiments_table(found: Sequence[Overview]) -> Table:
    """One row per experiment."""
    table = _table(("experiment", "runs"))
    for one in found:
        table.add_row(escape(one.experiment), one.sentence())
    return table


def _advice(found: Overview, outputs: Path) -> list[str]:
    said, counts = [], found.counts
    if "running" not in counts and set(LEFT) & set(counts):
        said.append("nothing runs now; to go on:")
        said += [f"  {command}" for command in _to_go_on(found, LEFT, outputs)]
    if "edited" in counts:
        said.append("edited: these runs count nowhere; to train them anew, delete their folders, then:")
        said += [f"  {command}" for command in _to_go_on(found, ("edited",), outputs)]
    return said


def _to_go_on(found: Overview, states: Sequence[str], outputs: Path) -> list[str]:
    """The first few commands that planned runs in these states."""
    planned = again((run.entry.get("command") for run in found.runs if run.state in states), found.experiment, outputs)
    left = len(planned) - FEW
    return [*planned[:FEW], *([f"# and {left} more"] if left > 0 else [])] or ["the command that planned them"]


def _rows(runs: Sequence[View]) -> Table:
    told = [name for name in varied(run.entry for run in runs) if name != "steps"]  # which have a column anyway
    table = _table(("state", "run", "cell", *told), ("seed", "step", "heartbeat", "steps/s", "img/s", "left"))
    for run in runs:
        entry, rate = run.entry, run.rate
        table.add_row(
            f"[{COLOURS.get(run.state, 'yellow')}]{run.state}[/]",
            escape(entry["label"]),
            entry["cell"][:8],
            *(escape(str(entry[name])) for name in told),
            str(entry["seed"]),
            f"{run.step:,}/{run.steps:,}",
            f"{clock(run.heartbeat)} ago" if run.heartbeat is not None else "",
            f"{rate:.3g}" if rate else "",
            f"{rate * entry['batch']:,.0f}" if rate else "",
            _left(run),
        )
    return table


def _left(run: View) -> str:
    if run.state == "running" and run.step >= run.steps:
        return "final evaluation"
    return f"~{clock(run.left)}" if run.left is not None else ""


def _cells(runs: Sequence[View]) -> Table:
    cells: dict[str, list[View]] = {}
    for run in runs:
        cells.setdefault(run.entry["cell"], []).append(run)
    told = varied(run.entry for run in runs)
    table = _table(("cell", "hash", *told, "runs"))
    for cell, members in cells.items():
        entry = members[0].entry
        shown = (escape(str(entry[name])) for name in told)
        table.add_row(escape(entry["label"]), cell[:8], *shown, Overview("", tuple(members), None).sentence())
    return table


def _table(left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in left:
        table.add_column(column, no_wrap=True)
    for column in right:
        table.add_column(column, justify="right", no_wrap=True)
    return table
