"""Colours, shapes and dashes that every chart shares; readable by the colour-blind, in light and in dark."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import altair as alt

from reslab.report.names import SHORTCUTS, arm, order

# Okabe and Ito's palette; the first four are the shortcuts of He 2015
PALETTE = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c", "#b8ac00")
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "triangle-right", "triangle-left", "cross")
DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4], [10, 3], [1, 3], [6, 2, 1, 2])
GLYPHS = "●■◆▲▼▶◀✚"  # the shapes in text
X_MARK = "M-1,-1L1,1M1,-1L-1,1"
GREY = "#8a8a8a"
WIDE = 40.0  # times the margin: beyond, a linear axis shows no margin any more
FONT = "DejaVu Sans, Verdana, sans-serif"


def _slots(found: Iterable[str]) -> tuple[list[str], list[int]]:
    names = order(found)
    free = iter(range(len(SHORTCUTS), 10**6))
    slots = [SHORTCUTS.index(name) if name in SHORTCUTS else next(free) for name in names]
    return [arm(name) for name in names], slots


def colour(found: Iterable[str], *, legend: bool = True) -> alt.Color:
    """One colour per shortcut, the same in every figure of an experiment, read from the column `arm`."""
    names, slots = _slots(found)
    scale = alt.Scale(domain=names, range=[PALETTE[slot % len(PALETTE)] for slot in slots])
    return alt.Color("arm:N", scale=scale, title="shortcut", legend=alt.Legend() if legend else None)


def shape(found: Iterable[str]) -> alt.Shape:
    """One shape per shortcut, so that colour is never alone."""
    names, slots = _slots(found)
    scale = alt.Scale(domain=names, range=[SHAPES[slot % len(SHAPES)] for slot in slots])
    return alt.Shape("arm:N", scale=scale, title="shortcut")


def mark(shortcut: str, found: Iterable[str]) -> tuple[str, str]:
    """Glyph and colour of a shortcut in text."""
    slot = dict(zip(order(found), _slots(found)[1], strict=True))[shortcut]
    return GLYPHS[slot % len(GLYPHS)], PALETTE[slot % len(PALETTE)]


def lines(found: Iterable[str]) -> dict[str, int]:
    """Which dash belongs to a shortcut: the column `line`, whose numbers keep it out of the legend of `arm`."""
    return dict(zip(order(found), _slots(found)[1], strict=True))


def dash(found: Iterable[str]) -> alt.StrokeDash:
    """One dash per shortcut, read from the column `line`."""
    slots = _slots(found)[1]
    scale = alt.Scale(domain=slots, range=[DASHES[slot % len(DASHES)] for slot in slots])
    return alt.StrokeDash("line:N", scale=scale, legend=None)


@dataclass(frozen=True)
class Points:
    """An axis of differences in points: where open sides end and what a caption must say of it."""

    scale: alt.Scale
    axis: alt.Axis
    low: float
    high: float
    said: str


def points(low: float, high: float, delta: float) -> Points:
    """Linear, unless the margin would be invisible; then logarithmic beyond some margins."""
    room = 0.04 * (high - low)
    if high - low <= WIDE * delta:
        scale = alt.Scale(domain=[low - room, high + room], nice=False)
        return Points(scale, alt.Axis(tickCount=6), low, high, "")
    known = [1.0, 3.0, 10.0, 30.0, 100.0]
    values = [-v for v in reversed(known) if -v >= low] + [0.0] + [v for v in known if v <= high]
    scale = alt.Scale(type="symlog", constant=4 * delta, domain=[1.15 * low, 1.15 * high], nice=False)
    said = (
        f"The axis is symmetric-logarithmic: linear around the margin, logarithmic beyond about ±{4 * delta:g} points. "
    )
    return Points(scale, alt.Axis(values=values, format=".3~r", labelOverlap="greedy"), low, high, said)


def log_axis(values: Iterable[int], *, base: int = 10) -> alt.Scale:
    """A logarithmic scale with some room on both sides; also for a single value."""
    known = list(values)
    low, high = min(known), max(known)
    room = max((high / low) ** 0.06, 1.12)
    return alt.Scale(type="log", base=base, domain=[low / room, high * room], nice=False)


def theme(text: str, grid: str) -> dict[str, Any]:
    """Vega-Lite's config for one background."""
    words = {"labelColor": text, "titleColor": text, "labelFontSize": 12, "titleFontSize": 12}
    axis = words | {"gridColor": grid, "domainColor": text, "tickColor": text, "titleFontWeight": "normal"}
    legend = words | {"orient": "top", "titleFontWeight": "normal", "labelLimit": 260, "symbolStrokeWidth": 2}
    header = words | {"labelFontSize": 13, "labelLimit": 0}
    title = {"color": text, "subtitleColor": text, "anchor": "start", "frame": "group"}
    marks = {mark: {"color": text} for mark in ("rule", "text")}
    return {"background": None, "font": FONT, "view": {"stroke": None}} | {
        "axis": axis,
        "legend": legend,
        "header": header,
        "title": title,
        **marks,
    }


THEMES = {"light": theme("#222222", "#e6e6e6"), "dark": theme("#dddddd", "#3a3a3a")}


def ladder(values: Iterable[int]) -> alt.Axis:
    """Labels at 1, 2, 5, 10, ... within the values: a log axis over little more than a decade would else have one."""
    known = sorted(values)
    rungs = [m * 10**e for e in range(8) for m in (1, 2, 5)]
    return alt.Axis(values=[v for v in rungs if known[0] <= v <= known[-1]], format=",d", grid=False)


def powers(values: Iterable[float]) -> alt.Axis:
    """A log axis labelled at powers of ten within the values, and at their threefold over less than three decades."""
    known = [value for value in values if value > 0]
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    every, between = -(-(high - low) // 8) or 1, (1, 3) if high - low < 4 else (1,)
    rungs = [m * 10.0**e for e in range(low, high + 1, every) for m in between]
    words = "datum.value >= 1e5 || datum.value < 1e-3 ? format(datum.value, '.0e') : format(datum.value, ',~g')"
    return alt.Axis(values=rungs, labelExpr=words)


DEEPER = ("#56b4e9", "#2b8cbe", "#5a7fd0", "#8c6bb1", "#b8559c", "#cc4778", "#d55e00")


def depths(found: Iterable[str]) -> alt.Scale:
    """Colours of depths, from shallow to deep, readable on both backgrounds."""
    names = list(found)
    places = [round(at * (len(DEEPER) - 1) / max(len(names) - 1, 1)) for at in range(len(names))]
    return alt.Scale(domain=names, range=[DEEPER[place] for place in places])
