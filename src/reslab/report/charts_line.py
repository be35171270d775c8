"""Loss and error along the straight line between a constructed net and one that SGD found."""

import altair as alt
import polars as pl

from reslab.report import style
from reslab.report.drawing import Drawing


def line(points: pl.DataFrame, *, statistics: str) -> Drawing:
    """From columns share (0: constructed, 1: found), cross_entropy (nats) and error (share of images).

    `statistics` says over which images the statistics of the norms were taken anew.
    """
    data = points.with_columns(error_percent=100 * pl.col("error"))
    title = "share of the way from the constructed net (0) to SGD's (1)"
    x = alt.X("share:Q", title=title, axis=alt.Axis(values=[at / 10 for at in range(11)], labelFlush=False))

    def part(column: str, title: str, colour: str) -> alt.LayerChart:
        base = alt.Chart(data).encode(x=x, y=alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=True)))
        marked = base.mark_line(color=colour) + base.mark_point(color=colour, filled=True, size=40)
        return marked.properties(width=520, height=180)

    chart = alt.vconcat(
        part("cross_entropy", "clean training loss (nats)", style.PALETTE[0]),
        part("error_percent", "clean training error (%)", style.PALETTE[1]),
    )
    caption = f"Clean training loss and error of nets on the straight line between two, n = 1 pair. {statistics}"
    return Drawing(chart, caption, data)
