"""The tables of an experiment as they are read: headings with units, numbers rounded; the data behind stay whole."""

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.table import ambiguous, varying
from reslab.report.drawing import Drawing
from reslab.report.evidence import absent, origins
from reslab.report.names import order


def cells(answered: Answer) -> Drawing | None:
    """One line per cell, with what it costs."""
    table = answered.cells
    rank = {name: place for place, name in enumerate(order(table["shortcut"]))}
    table = table.sort(
        ~pl.col("main"), "steps", "context", pl.col("shortcut").replace_strict(rank, return_dtype=pl.Int64), "depth"
    )
    named = [axis for axis in varying(answered.runs) if axis not in ("shortcut", "depth")]
    named = [*named, "shortcut", "depth"]
    if ambiguous(answered.cells).any():
        named.append("cell")
    shown = table.select(
        *(pl.col(name).str.slice(0, 8) if name == "cell" else name for name in named),
        "n",
        _spread("train_error", 100, 2).alias("training error %, mean ± sd"),
        _interval("lower_points", "upper_points").str.strip_chars().alias("95 % t interval"),
        _spread("train_cross_entropy", 1, 4).alias("cross-entropy, nats"),
        _spread("test_error", 100, 2).alias("test error %"),
        params=_thousands("params"),
        MACs=_thousands("macs"),
        s=_round("seconds", 1).fill_null(""),
        **{"img/s": _round("images_per_second", 0).fill_null("")},
        outcomes=pl.col("outcomes").str.replace_all("_", " "),
    )
    caption = (
        "n: seeds with a result that counts; sd: sample standard deviation over seeds; interval: of the mean; "
        "MACs: multiply-adds of one image forward; s and img/s: mean wall-clock seconds and training speed of a "
        "run. A run that diverged counts as chance."
    )
    return Drawing(None, caption, table, shown)


def contrasts(answered: Answer) -> Drawing | None:
    """Plain less a shortcut at one depth, per seed; the correlation of twins and what pairing gained."""
    table = answered.contrasts
    if table.is_empty():
        return None
    named = ["context"] if table["context"].n_unique() > 1 else []
    shown = table.select(
        *(*named, "shortcut", "depth", "n"),
        difference=_signed("difference_points"),
        interval=_interval("lower_points", "upper_points").str.strip_chars(),
        correlation=_round("correlation", 2).fill_null("not defined"),
        pairing=_round("pairing", 2).fill_null("not defined"),
        method="method",
    )
    names = {
        "difference": "plain less shortcut, points",
        "interval": "95 % interval",
        "correlation": "seed correlation",
    }
    caption = (
        "Clean training error of the plain net less that of its twin with a shortcut (percent points), one number "
        "a seed; seed correlation: of twins over seeds; gain of pairing: unpaired over paired width of the interval."
    )
    return Drawing(None, caption, table, shown.rename(names | {"pairing": "gain of pairing"}))


def differences(table: pl.DataFrame) -> pl.DataFrame:
    """Gaps or rescues as they are read: one line each, with interval and verdict."""
    value = "gap_points" if "gap_points" in table.columns else "rescue_points"
    against = "against" if "against" in table.columns else "reference"
    several = table["context"].n_unique() > 1
    return table.select(
        *(["context"] if several else []),
        *("shortcut", "depth", pl.col(against).alias("against"), "n"),
        _signed(value).alias(f"{value.removesuffix('_points')}, points"),
        _interval("lower_points", "upper_points").str.strip_chars().alias("95 % interval"),
        *("verdict", "method"),
    )


def missing(answered: Answer) -> Drawing | None:
    """Runs that have not ended, failed or did not learn."""
    table = absent(answered)
    if table.is_empty():
        return None
    drop = ["context"] if table["context"].n_unique() == 1 else []
    drop += [name for name in ("reason", "command") if not any(table[name])]
    shown = table.with_columns(pl.col("found").str.replace_all("_", " ")).drop(drop)
    caption = (
        "Runs without a result, and results that are not trained nets (diverged, at chance: done, and counted as "
        "chance; failed: the command tries again)."
    )
    return Drawing(None, caption, table, shown, link="folder")


def published(answered: Answer) -> Drawing | None:
    """Published values beside ours."""
    table = answered.published
    if table.is_empty():
        return None
    band = pl.concat_str(_round("band_low", 2), pl.lit(" to "), _round("band_high", 2)).fill_null("none")
    shown = table.select(
        *("source", "net", "quantity"),
        published=_round("published", 2).fill_null("no number"),
        band=band,
        ours=_round("ours", 2).fill_null(""),
        interval=_interval("lower", "upper").str.strip_chars(),
        n="n",
        split="split",
        verdict="verdict",
        note="note",
    )
    caption = "Errors in percent; interval: 95 % t interval of our mean over n seeds; inside or outside the band."
    return Drawing(None, caption, table, shown.rename({"interval": "95 % interval"}))


def commands(answered: Answer) -> Drawing | None:
    """Exact commands, versions, commit and hardware."""
    table = origins(answered)
    if table.is_empty():
        return None
    shown = table.with_columns(commit=pl.col("commit").str.replace("^([0-9a-f]{12})[0-9a-f]+", "$1"))
    return Drawing(None, "One line per command, commit, versions and hardware that made runs together.", table, shown)


def _round(value: str | pl.Expr, digits: int) -> pl.Expr:
    """Fixed digits, as a string; null stays null."""
    column = pl.col(value) if isinstance(value, str) else value
    return column.map_elements(lambda x: f"{x:.{digits}f}", return_dtype=pl.String)


def _signed(name: str) -> pl.Expr:
    return pl.col(name).map_elements(lambda x: f"{x:+.2f}", return_dtype=pl.String)


def _spread(name: str, scale: int, digits: int) -> pl.Expr:
    sd = pl.concat_str(pl.lit(" ± "), _round(scale * pl.col(f"{name}_sd"), digits))
    return pl.concat_str(_round(scale * pl.col(f"{name}_mean"), digits), sd.fill_null("")).fill_null("")


def _interval(lower: str, upper: str) -> pl.Expr:
    """[low, high]; nothing where there is no interval, "open" where there is one side only."""
    low, high = (_round(name, 2).fill_null("open") for name in (lower, upper))
    both = pl.concat_str(pl.lit(" ["), low, pl.lit(", "), high, pl.lit("]"))
    return pl.when(pl.col(lower).is_null() & pl.col(upper).is_null()).then(pl.lit("")).otherwise(both)


def _thousands(name: str) -> pl.Expr:
    return pl.col(name).map_elements(lambda x: f"{x:,}", return_dtype=pl.String).fill_null("?")
