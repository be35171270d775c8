"""Tables of an experiment for the terminal."""

import polars as pl
from rich.console import Console
from rich.table import Table

from reslab.analysis.table import ambiguous, varying


def show_cells(cells: pl.DataFrame, out: Console) -> None:
    """One line per cell, with only the axes that vary; errors in percent, mean ± standard deviation over seeds."""
    alike = ambiguous(cells).any()
    axes = [*varying(cells), *(["cell"] if alike else [])]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for axis in axes:
        table.add_column(axis, justify="right" if axis == "depth" else "left")
    for name in ("n", "train error %", "cross-entropy", "test error %"):
        table.add_column(name, justify="right")
    for name in ("params", "outcomes"):
        table.add_column(name)
    for row in cells.iter_rows(named=True):
        table.add_row(
            *(row[axis][:8] if axis == "cell" else str(row[axis]) for axis in axes),
            str(row["n"]),
            _spread(row, "train_error", 100.0, ".2f"),
            _spread(row, "train_cross_entropy", 1.0, ".3g"),
            _spread(row, "test_error", 100.0, ".2f"),
            f"{row['params']:,}" if row["params"] is not None else "?",
            row["outcomes"],
        )
    out.print(table)
    if alike:
        out.print("note: some cells differ in a setting that is no column; they have their hash, and are not compared")


def show_gaps(gaps: pl.DataFrame, out: Console) -> None:
    """Each depth's gap against the shallower ones, one column per shortcut, in points of clean training error."""
    if gaps.is_empty():
        out.print("gaps: no two depths can be compared yet")
        return
    order = ["none", "identity", "projection", "projection_all"]
    found = gaps["shortcut"].unique().to_list()
    shortcuts = [s for s in order if s in found] + sorted(set(found) - set(order))
    others = [a for a in varying(gaps) if a not in ("shortcut", "depth")]
    out.print("gap: clean training error of a depth less that of a shallower one, in points (+: deeper is worse)")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for axis in (*others, "depth", "against"):
        table.add_column(axis)
    for shortcut in shortcuts:
        table.add_column("plain (none)" if shortcut == "none" else shortcut, justify="right")
    keys = [*others, "depth", "depth_shallower"]
    for key, group in gaps.group_by(keys, maintain_order=True):
        by = {row["shortcut"]: row["gap"] for row in group.iter_rows(named=True)}
        table.add_row(*map(str, key), *(f"{100 * by[s]:+.2f}" if s in by else "" for s in shortcuts))
    out.print(table)


def _spread(row: dict, name: str, scale: float, style: str) -> str:
    mean, sd = row[f"{name}_mean"], row[f"{name}_sd"]
    if mean is None:
        return ""
    return f"{scale * mean:{style}}" + (f" ± {scale * sd:{style}}" if sd is not None else "")
