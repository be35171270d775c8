"""What the page and the W&B workspace show, in order: one entry is one panel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reslab.analysis.answer import Answer
from reslab.report import charts_budget, charts_curves, charts_depth, charts_forest, tables
from reslab.report.drawing import Drawing

__all__ = ["PANELS", "Drawing", "Panel", "Tracked"]


@dataclass(frozen=True)
class Tracked:
    """The same panel made of W&B's own: which kind, of which flat keys."""

    kind: Literal["line", "scatter", "bar", "table"]
    x: str
    y: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True)
class Panel:
    """One panel: its anchor and file name, title, section, how to draw it; None is drawn where there is no data."""

    key: str
    title: str
    section: Literal["verdict", "depth", "curves", "cells"]
    draw: Callable[[Answer], Drawing | None]
    absent: str | None = None
    """The sentence that stands where nothing could be drawn; None: the panel is left out."""
    tracked: Tracked | None = None


PANELS: tuple[Panel, ...] = (
    Panel(
        *("depth", "Error against depth", "depth", charts_depth.depth),
        absent="No run has a clean training error yet, so there is nothing to draw.",
        tracked=Tracked("scatter", "depth", ("final/train_error",), "shortcut"),
    ),
    Panel(
        *("cross_entropy", "Cross-entropy against depth", "depth", charts_depth.cross_entropy),
        tracked=Tracked("scatter", "depth", ("final/train_cross_entropy",), "shortcut"),
    ),
    Panel(
        *("gaps", "Does depth hurt? The gap of each depth", "verdict", charts_forest.gaps),
        absent="No gap can be given: that takes two depths of one shortcut with at least one ended run each.",
        tracked=Tracked("bar", "depth", ("final/train_error",), "cell"),
    ),
    Panel("beside", "Test error and cross-entropy beside the gap", "verdict", tables.beside),
    Panel(
        *("rescues", "What a shortcut takes away from the gap", "verdict", charts_forest.rescues),
        absent="No rescue can be given: that takes plain nets and a shortcut at two depths, with seeds in common.",
    ),
    Panel("contrasts", "Plain against residual at the same depth", "verdict", tables.contrasts),
    Panel(
        *("curves", "While training: deep against shallow", "curves", charts_curves.curves),
        absent="No run has recorded an evaluation yet, so there are no curves.",
        tracked=Tracked("line", "step", ("train/error", "running/error"), "cell"),
    ),
    Panel("budget", "The gap against the budget", "curves", charts_budget.budget),
    Panel("rates", "The gap at each depth's best learning rate", "verdict", charts_forest.rates),
    Panel(
        *("test", "Test error against depth", "depth", charts_depth.test),
        tracked=Tracked("scatter", "depth", ("final/test_error",), "shortcut"),
    ),
    Panel(
        *("cells", "The cells", "cells", tables.cells),
        tracked=Tracked(
            *(
                "table",
                "cell",
                ("final/train_error", "final/train_cross_entropy", "final/test_error", "params", "macs"),
            ),
            group="cell",
        ),
    ),
    Panel("missing", "Runs missing, failed or at chance", "cells", tables.missing),
    Panel("published", "Published values beside ours", "verdict", tables.published),
    Panel("commands", "Commands, versions, commit, hardware", "cells", tables.commands),
)
