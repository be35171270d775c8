"""Figures of a benchmark beside their targets: a table to be read, a record of all of them with its evidence."""

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reslab.launch.bench.sweep import Swept
from reslab.launch.bench.verbs import Took
from reslab.launch.doctor.storage import file_system
from reslab.launch.freeze import commit, versions

ENOUGH = 1000  # runs; over fewer the memory that Python takes at once hides what a run leaves behind


@dataclass(frozen=True)
class Figure:
    """One line of the table; the target is at most `most` or at least `least`, and none where both are None."""

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def cells(self) -> tuple[str, str, str]:
        """Name, value with its unit, target with the answer."""
        answer = {None: "", True: "met", False: "missed"}[self.met]
        bounds = (("at least", self.least), ("at most", self.most))
        target = " and ".join(f"{word} {bound:g} {self.unit}".strip() for word, bound in bounds if bound is not None)
        return self.name, f"{self.value:,.3g} {self.unit}".strip(), f"{target}: {answer}" if target else ""


@dataclass(frozen=True)
class Sheet:
    """A table beside the figures, such as all contestants of one race; cells as they are to be read."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Measured:
    """What one part has found: figures with their targets, and tables that show where they come from."""

    figures: list[Figure]
    sheets: list[Sheet] = field(default_factory=list)
    turns: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)
    """Seconds by race, contestant and repeat, for the record alone."""


def of_sweep(swept: Swept) -> list[Figure]:
    """What one run of many costs beside its training."""
    of = f"{swept.runs:,} runs of {swept.training:g} s, {swept.slots} at a time"
    flat = 1.0 if swept.runs >= ENOUGH else None
    return [
        Figure(f"{of}: overhead of a run, beside the start of its worker", 1000 * swept.overhead, "ms", 50.0),
        Figure(f"{of}: from the request of a worker to its first line, on average", 1000 * swept.start, "ms"),
        Figure(f"{of}: the parent's processor time for a run", 1000 * swept.cpu / swept.runs, "ms"),
        Figure(f"{of}: the parent's memory at the end", swept.memory[-1][1], "MiB"),
        Figure(f"{of}: the parent's memory, for 1,000 runs that ended", swept.growth, "MiB", flat),
        Figure(f"{of}: the parent's memory, for 1,000 runs that are planned", swept.planned, "MiB"),
        Figure(f"{of}: compose, check and identify a run", 1000 * swept.planning / swept.runs, "ms"),
    ]


def of_commands(took: Sequence[Took]) -> list[Figure]:
    """Time at each number of runs, then how it grows between the last two: in processor time, which is steadier."""
    found = [Figure(_name(one), one.seconds, "s", _most(one)) for one in took]
    for verb in dict.fromkeys(one.verb for one in took):
        sizes = sorted((one for one in took if one.verb == verb), key=lambda one: one.runs)
        if len(sizes) > 1:
            few, many = sizes[-2:]
            between = f"{verb}, {few.runs:,} to {many.runs:,} runs"
            more = 1000 * (many.cpu - few.cpu) / (many.runs - few.runs)
            found += [Figure(f"{between}: processor time of a further run", more, "ms")]
            found += [Figure(f"{between}: exponent of growth", growth(few, many), "")]
    return found


def growth(few: Took, many: Took) -> float:
    """The power of the number of runs with which processor time grows between two numbers; 1 is proportional."""
    return math.log(many.cpu / few.cpu) / math.log(many.runs / few.runs)


def _name(took: Took) -> str:
    return f"{took.verb} of {took.runs:,} runs (processor {took.cpu:.2f} s)"


def _most(took: Took) -> float | None:
    return 3.0 if (took.verb, took.runs) == ("status", 10_000) else None


def evidence(outputs: Path, load: float) -> dict[str, Any]:
    """Hardware, file system, versions and commit; `load` is what else ran on the machine before."""
    return {
        "hardware": {
            **{"machine": platform.machine(), "system": platform.platform(), "processor": _processor()},
            **{"cores": os.cpu_count(), "memory_gib": round(_memory(), 1), "file_system": file_system(outputs)},
            "load_before": load,
        },
        **{"python": platform.python_version(), "versions": versions(), "commit": commit()},
    }


def record(found: Measured) -> dict[str, Any]:
    """For programs."""
    return {
        "figures": [asdict(figure) | {"met": figure.met} for figure in found.figures],
        "tables": [asdict(sheet) for sheet in found.sheets],
        **({"turns": found.turns} if found.turns else {}),
    }


def page(name: str, found: Measured, known: dict[str, Any], words: str) -> str:
    """The same tables as Markdown, with the evidence in one line; `words` are those of the command."""
    hardware, installed = known["hardware"], known["versions"]
    where = (
        f"{hardware['processor'] or hardware['machine']}, {hardware['cores']} cores, {hardware['memory_gib']:g} GiB, "
        f"{hardware['file_system']}, {hardware['system']}; Python {known['python']}, torch {installed['torch']}, "
        f"reslab {installed['reslab']} at {_short(known['commit']) or 'no commit'}; load before: "
        f"{hardware['load_before']:.2f}"
    )
    lines = [f"# Speed: {name}", "", f"Written by `reslab bench {words}`; {name}.json has every figure.", ""]
    lines += [f"{where}.", ""]
    for sheet in found.sheets:
        lines += [f"{sheet.title}:", "", *_markdown(sheet.columns, sheet.rows), ""]
    return "\n".join([*lines, *_markdown(("figure", "value", "target"), [f.cells() for f in found.figures])]) + "\n"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _short(name: str) -> str:
    head, plus, changed = name.partition("+")
    return head[:12] + plus + changed


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
