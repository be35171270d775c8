"""Heat maps of a run's readings as pictures for W&B: layer against recorded step, in the colours of the page.

Drawn with Pillow: they are made at the end of every run, where a plotting library would cost more than the picture.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

BLUE, WHITE, RED, GREY, INK = (33, 102, 172), (247, 247, 247), (178, 24, 43), (200, 200, 200), (60, 60, 60)
CELL, ROW, LEFT, TOP, RIGHT, BOTTOM = 26, 12, 150, 8, 70, 36
"""Pixels: width and height of a cell, and the margins for names, colours and steps."""
LABELS = 12  # names along an axis, about


@dataclass(frozen=True)
class HeatMap:
    """Which readings make one picture, and what it says; layers are those whose address begins with `where`."""

    probe: str
    statistic: str
    where: str
    relative: bool
    """To the last layer at the same step."""
    caption: str


MAPS = (
    HeatMap(
        *("signal_propagation/train", "gradient_norm", "trunk.", True),
        caption="log10 of a unit's gradient norm over that of the last unit; input below, output above",
    ),
    HeatMap(
        *("update_geometry/train", "angle_over_equilibrium", "", False),
        caption="log10 of the angle by which a step turns a convolution over the equilibrium angle; input below",
    ),
    HeatMap(
        *("branch_ratio/train", "variance_ratio", "trunk.", False),
        caption="log10 of the variance of a unit's branch over that of its shortcut; input below",
    ),
)


def pictures(rows: Iterable[Sequence[Any]]) -> dict[str, tuple[Image.Image, str]]:
    """Picture and caption by name, of rows as `runs.readings` keeps them; none for what was not recorded."""
    kept: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    for _, step, probe, layer, statistic, value, _ in rows:
        kept.setdefault((probe, statistic), {})[str(layer), int(step)] = float(value)
    found = {}
    for heat in MAPS:
        values = {key: v for key, v in kept.get((heat.probe, heat.statistic), {}).items() if key[0] != "trunk"}
        values = logarithms({key: v for key, v in values.items() if key[0].startswith(heat.where)}, heat.relative)
        if values:
            name = f"heat/{heat.probe.partition('/')[0]}/{heat.statistic}"
            found[name] = (_drawn(values), heat.caption)
    return found


def logarithms(values: Mapping[tuple[str, int], float], relative: bool) -> dict[tuple[str, int], float]:
    """log10 by (layer, step), of the ratio to the step's last layer where `relative`; nan for what has none."""
    last = {step: value for (_, step), value in values.items()}  # layers come first to last
    ratios = {key: _divided(value, last[key[1]]) if relative else value for key, value in values.items()}
    return {key: math.log10(v) if 0 < v < math.inf else math.nan for key, v in ratios.items()}


def _divided(value: float, by: float) -> float:
    return value / by if by else math.nan


def _drawn(values: Mapping[tuple[str, int], float]) -> Image.Image:
    layers = list(dict.fromkeys(layer for layer, _ in values))
    steps = sorted({step for _, step in values})
    most = max((abs(v) for v in values.values() if math.isfinite(v)), default=0.0) or 1.0
    wide, high = CELL * len(steps), ROW * len(layers)
    picture = Image.new("RGB", (LEFT + wide + RIGHT, TOP + high + BOTTOM), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=11)
    for (layer, step), value in values.items():
        x, y = LEFT + CELL * steps.index(step), TOP + high - ROW * (layers.index(layer) + 1)
        draw.rectangle((x, y, x + CELL - 1, y + ROW - 1), fill=colour(value / most))
    for at in _some(len(layers)):
        middle = TOP + high - ROW * at - ROW // 2
        draw.text((LEFT - 6, middle), layers[at], fill=INK, font=font, anchor="rm")
    for at in _some(len(steps)):
        draw.text((LEFT + CELL * at + CELL // 2, TOP + high + 4), f"{steps[at]:,}", fill=INK, font=font, anchor="mt")
    draw.text((LEFT + wide // 2, TOP + high + 20), "step", fill=INK, font=font, anchor="mt")
    for y in range(high):
        draw.line((LEFT + wide + 10, TOP + y, LEFT + wide + 22, TOP + y), fill=colour(1 - 2 * y / max(high - 1, 1)))
    for share, y in ((1, TOP), (0, TOP + high // 2), (-1, TOP + high)):
        anchor = {1: "lt", 0: "lm", -1: "lb"}[share]
        draw.text((LEFT + wide + 26, y), f"{share * most:+.2g}" if share else "0", fill=INK, font=font, anchor=anchor)
    return picture


def colour(share: float) -> tuple[int, int, int]:
    """From blue (-1) over white (0) to red (1); grey for what is not a number."""
    if not math.isfinite(share):
        return GREY
    end, part = (RED if share > 0 else BLUE), min(abs(share), 1.0)
    red, green, blue = (round(w + (e - w) * part) for w, e in zip(WHITE, end, strict=True))
    return red, green, blue


def _some(n: int) -> range:
    """Every so many, from the first, so that no labels overlap."""
    return range(0, n, max(-(-n // LABELS), 1))
