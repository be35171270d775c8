"""All files of a report, written below one folder."""

from pathlib import Path

import polars as pl
from polars import selectors

from reslab.analysis.answer import Answer
from reslab.report.drawing import Drawing
from reslab.report.figures import write_figures
from reslab.report.markup import latex, markdown
from reslab.report.names import nets
from reslab.report.page import Drawn, page, replace
from reslab.report.panels import PANELS, Panel

PANEL_OF = {"budgets": "budget"}  # where the panel of a table has another key
TABLES = (
    "cells",
    "gaps",
    "onsets",
    "budgets",
    "rescues",
    "contrasts",
    "causes",
    "evidence",
    "rates",
    "published",
    "runs",
)


def draw(answered: Answer) -> list[tuple[Panel, Drawing | None]]:
    """Every panel of the list, drawn."""
    return [(panel, panel.draw(answered)) for panel in PANELS]


def write_report(answered: Answer, drawn: Drawn, folder: Path, *, outputs: Path) -> list[Path]:
    """report.html, tables/, figures/."""
    files = write_page(answered, drawn, folder, outputs=outputs)
    files += write_tables(answered, drawn, folder / "tables")
    return files + write_figures(drawn, folder / "figures", experiment=answered.experiment)


def write_page(answered: Answer, drawn: Drawn, folder: Path, *, outputs: Path, every: int | None = None) -> list[Path]:
    """report.html alone; with `every` (seconds) it loads itself again."""
    file = folder / "report.html"
    replace(file, page(answered, drawn, folder=folder, outputs=outputs, every=every))
    return [file]


def write_tables(answered: Answer, drawn: Drawn, folder: Path) -> list[Path]:
    """<table>.csv with all columns; <table>.md and .tex as they are read."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    readable = {panel.key: made for panel, made in drawn if made is not None}
    for name in TABLES:
        table: pl.DataFrame = getattr(answered, name)
        paths = [folder / f"{name}{suffix}" for suffix in (".csv", ".md", ".tex")]
        if not table.columns or table.is_empty():
            for path in paths:
                path.unlink(missing_ok=True)
            continue
        table.write_csv(paths[0])
        files.append(paths[0])
        if name != "runs":
            shown = readable_table(table, readable.get(PANEL_OF.get(name, name)))
            paths[1].write_text(markdown(shown))
            paths[2].write_text(latex(shown))
            files += paths[1:]
    return files


def readable_table(table: pl.DataFrame, made: Drawing | None) -> pl.DataFrame:
    """What a panel shows of a table; without one, the table itself, rounded."""
    if made is not None and made.shown is not None:
        return made.shown
    shown = table.with_columns(selectors.float().round(3)).drop("main", "sentence", strict=False)
    return shown.with_columns(nets().alias("net")).drop("shortcut") if "shortcut" in table.columns else shown
