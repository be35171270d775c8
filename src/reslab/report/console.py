"""What a report says on the terminal: coverage, cells, verdicts with their numbers, notes, files, what comes next."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.report.evidence import coverage
from reslab.report.names import LONG_NOTE, ranks, sorted_rows


def show(answered: Answer, out: Console) -> None:
    """Coverage, the three badges, gaps, rescues, notes."""
    out.print(f"[bold]{escape(answered.experiment)}[/] · {coverage(answered)}")
    if answered.study.question:
        out.print(escape(answered.study.question))
    out.print()
    for badge in answered.badges:
        where = f", {badge.where}" if badge.where else ""
        out.print(f"{badge.name:<8} [bold]{escape(badge.word)}[/]{escape(where)}")
        for line in badge.lines:
            out.print(f"{'':<8} {escape(line)}")
    out.print()
    show_gaps(answered, out)
    if not answered.rescues.is_empty():
        out.print()
        for sentence in answered.rescues["sentence"]:
            out.print(f"rescue: {escape(sentence)}")
    for sentence in _sentences(answered.rates):
        out.print(escape(sentence))
    for note in answered.notes:
        first = note.partition(": ")[0] if len(note) > LONG_NOTE else note
        out.print(f"note: {escape(first)}{'; the page tells which' * (first != note)}")


def show_gaps(answered: Answer, out: Console) -> None:
    """One line per context, shortcut and depth: gap with interval, n, verdict."""
    gaps = answered.gaps
    if gaps.is_empty():
        out.print("gaps: no two depths of one shortcut can be compared yet")
        return
    out.print("gap of clean training error, deeper less shallower, in points, with the interval that decides")
    table = Table(box=None, pad_edge=False, header_style="bold")
    several = gaps["context"].n_unique() > 1
    for name in (*(["context"] if several else []), "net", "depth", "against", "gap", "interval", "n", "verdict"):
        table.add_column(name, justify="right" if name in ("depth", "against", "gap", "interval", "n") else "left")
    for row in sorted_rows(gaps, ranks(answered)).iter_rows(named=True):
        bounds = [row["lower_points"], row["upper_points"]]
        low, high = ("open" if bound is None else f"{bound:+.2f}" for bound in bounds)
        verdict = row["verdict"] + (" (interim)" if row["interim"] else "")
        table.add_row(
            *([escape(row["context"])] if several else []),
            escape(net(row["shortcut"])),
            *(str(row["depth"]), str(row["against"])),
            f"{row['gap_points']:+.2f}",
            "none" if bounds == [None, None] else f"\\[{low}, {high}]",
            str(row["n"]),
            f"{verdict}; {escape(row['needed'])}" if row["needed"] else verdict,
        )
    out.print(table)


def show_files(files: Sequence[Path], out: Console) -> None:
    """What is meant to be opened by name, the rest by folder with its number of files."""
    lines = [str(file) for file in files if file.name in ("report.html", "README.md")]
    folders = Counter(file.parent for file in files if str(file) not in lines)
    lines += [f"{folder}/ ({count} files)" for folder, count in folders.items()]
    out.print("\nwrote " + "\n      ".join(lines), markup=False, soft_wrap=True)


def _sentences(table: pl.DataFrame) -> list[str]:
    return [] if table.is_empty() else table["sentence"].to_list()
