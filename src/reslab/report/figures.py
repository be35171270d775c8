"""Every chart as SVG and PNG, without a browser: title above, the short caption below the title, white paper."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from reslab.report.drawing import Drawing
from reslab.report.panels import Panel

WIDTH, LETTERS = 620, 105  # pixels of a chart; letters in a line of its caption
TALL = 1200  # pixels, beyond which a picture of twice the size takes seconds and shows no more


def write_figures(drawn: Sequence[tuple[Panel, Drawing | None]], folder: Path, *, experiment: str) -> list[Path]:
    """figures/<panel>.svg and .png of all charts; figures of panels that are no longer drawn are removed."""
    import altair as alt
    import vl_convert

    from reslab.report.pack import whole
    from reslab.report.page import version
    from reslab.report.style import THEMES

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for panel, made in drawn:
        paths = [folder / f"{panel.key}{suffix}" for suffix in (".svg", ".png")]
        if made is None or made.chart is None:
            for path in paths:
                path.unlink(missing_ok=True)
            continue
        spec = whole(made.chart, width=WIDTH)
        spec["title"] = {
            "text": f"{experiment}: {panel.title}",
            "subtitle": textwrap.wrap(made.brief or made.caption, LETTERS),
            "subtitlePadding": 6,
            "offset": 12,
        }
        spec["padding"] = 12
        config = THEMES["light"] | {"background": "white"}
        svg = vl_convert.vegalite_to_svg(spec, vl_version=version(alt.SCHEMA_VERSION), config=config)
        paths[0].write_text(svg)
        paths[1].write_bytes(vl_convert.svg_to_png(svg, scale=1 if _height(svg) > TALL else 2))
        files += paths
    return files


def _height(svg: str) -> float:
    found = re.search(r'<svg[^>]* height="([\d.]+)"', svg)
    return float(found[1]) if found else 0.0
