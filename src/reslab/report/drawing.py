"""What a panel hands over: a chart or a table, the words below it, the numbers behind it."""

from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Drawing:
    """A chart (None: the panel is a table) with its caption (units, n, kind of interval) and the table behind it."""

    chart: Any | None
    """An Altair chart."""
    caption: str
    data: pl.DataFrame
    """What is downloaded: full precision, one row per mark or per line of the table."""
    shown: pl.DataFrame | None = None
    """The table as it is read: strings, headings with units; stands below the chart if there is one."""
    link: str | None = None
    """The column of `shown` that names run folders."""
    brief: str = ""
    """What of the caption must stand in a picture: the quantity, n, the kind of interval; empty: all of it."""
    reading: str = ""
    """How the words and columns of the table below a chart are to be read."""
