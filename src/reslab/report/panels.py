"""What the page and the W&B workspace show, in order: one entry is one panel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reslab.analysis.answer import Answer
from reslab.report import (
    charts_branches,
    charts_budget,
    charts_causes,
    charts_curves,
    charts_depth,
    charts_depth_use,
    charts_forest,
    charts_heat,
    charts_landscape,
    charts_lesion,
    charts_profiles,
    tables,
    tables_causes,
    tables_verify,
)
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
    section: Literal["verdict", "depth", "curves", "instrument", "cells"]
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
    Panel("causes", "Why? What each intervention removes of the gap", "verdict", charts_causes.causes),
    Panel("evidence", "Which causes that speaks for and against", "verdict", tables_causes.evidence),
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
        *("gradients", "Gradients along the net, while training", "instrument", charts_heat.gradients),
        absent="No run has recorded how signals propagate: reslab train ... probes=full records it.",
        tracked=Tracked("line", "step", ("probes/signal_propagation/train/gradient_ratio",), "cell"),
    ),
    Panel(
        *("geometry", "How far a step turns each convolution", "instrument", charts_heat.geometry),
        absent="No run has recorded its update geometry: reslab train ... probes=light records it.",
        tracked=Tracked("line", "step", ("probes/update_geometry/train/freeze_index",), "cell"),
    ),
    Panel(
        *("branches", "Branch against shortcut, unit by unit", "instrument", charts_branches.branches),
        absent="No run has recorded branches and shortcuts: reslab train ... probes=full records them.",
    ),
    Panel(
        *("shattering", "Do two images still ask the same of a layer?", "instrument", charts_profiles.shattering),
        absent="No run has recorded how gradients shatter: reslab train ... probes=full records it.",
    ),
    Panel("rank", "How many directions each unit uses", "instrument", charts_profiles.rank),
    Panel("dead", "Channels that are dead", "instrument", charts_profiles.dead),
    Panel("lesion", "What is left when units are deleted", "instrument", charts_lesion.lesion),
    Panel("depth_use", "How much of the depth is used", "instrument", charts_depth_use.use),
    Panel("slices", "The loss around the net, along random directions", "instrument", charts_landscape.slices),
    Panel("curvature", "How sharp the loss is at the net", "instrument", charts_landscape.curvature),
    Panel(
        *("verified", "Is the instrument right? Known laws beside what it measures", "instrument"),
        draw=tables_verify.verified,
        absent="reslab verify has not been run here; it measures known laws in a few minutes: reslab verify",
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
