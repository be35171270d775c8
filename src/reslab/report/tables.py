"""The tables of an experiment as they are read: headings with units, numbers rounded; the data behind stay whole."""

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.table import ambiguous, varying
from reslab.report import bounds
from reslab.report.drawing import Drawing
from reslab.report.evidence import absent, alike, origins
from reslab.report.names import nets, plainly, ranks, shorter, sorted_rows
from reslab.report.tables_differences import beside_table, contrast_table

NUMBERS = ("steps", "batch", "width")  # axes that are counts


def cells(answered: Answer) -> Drawing | None:
    """One line per cell, with what it costs."""
    table = sorted_rows(answered.cells, ranks(answered))
    named = [axis for axis in varying(answered.runs) if axis not in ("shortcut", "depth")]
    if ambiguous(answered.cells).any():
        named.append("cell")
    shown = table.select(
        *(_named(name) for name in named),
        *(nets().alias("net"), "depth", "n"),
        _spread("train_error", 100, 2).alias("training error %, mean ± sd"),
        bounds.interval("lower_points", "upper_points").fill_null("").alias("95 % t interval"),
        _spread("train_cross_entropy", 1, 4).alias("cross-entropy, nats"),
        _spread("test_error", 100, 2).alias("test error %"),
        outcomes=pl.col("outcomes").map_elements(plainly, return_dtype=pl.String),
        params=_thousands("params"),
        MACs=_thousands("macs"),
        s=bounds.fixed("seconds", 1).fill_null(""),
        **{"img/s": bounds.fixed("images_per_second", 0).fill_null("")},
    )
    caption = (
        "n: seeds with a result that counts; sd: sample standard deviation over seeds; interval: of the mean of this "
        "cell alone, which decides nothing; MACs: multiply-adds of one image forward; s and img/s: mean wall-clock "
        "seconds and training speed of a run, which depend on what else the machine did: compare them within one "
        "command. A run that diverged, failed or is at chance counts as chance."
    )
    return Drawing(None, caption, table, shown)


def contrasts(answered: Answer) -> Drawing | None:
    """Plain less a shortcut at one depth, per seed; the correlation of twins and what pairing gained."""
    if answered.contrasts.is_empty():
        return None
    table = sorted_rows(answered.contrasts, ranks(answered))
    caption = (
        "Clean training error of the plain net less that of its twin with a shortcut (percent points), one number a "
        "seed. Interval: the one that decides, each bound at its own one-sided level; the verdicts hold over the whole "
        "family (looks, Holm), at 2.5 % a side, its bounds do not hold all at once. "
        f"Better: the shortcut is better by more than {answered.study.delta:g} points. Where no run of either net "
        "learned, there is no verdict and no interval. Seed correlation: of the twins over seeds. Paired / unpaired "
        "width: of the interval; below 1, pairing by seed gained."
    )
    return Drawing(None, caption, table, contrast_table(table))


def beside(answered: Answer) -> Drawing | None:
    """Test error and cross-entropy at the same depths: whether it is over-fitting, and what errors near 0 hide."""
    if answered.gaps.is_empty():
        return None
    table = sorted_rows(answered.gaps, ranks(answered))
    caption = (
        "The gap of clean training error beside that of the test error and, where the best cells are below 1 %, that "
        "of the logarithm of the clean training cross-entropy (the declared second measure); same depths, same seeds. "
        "Intervals of the last two: 95 % each, corrected for nothing. They are in no verdict; where a depth does not "
        "degrade, the lower bound of the test gap decides whether its kind is over-fitting."
    )
    return Drawing(None, caption, table, beside_table(table))


def missing(answered: Answer) -> Drawing | None:
    """Runs that have not ended, failed or did not learn."""
    table = absent(answered)
    if table.is_empty():
        return None
    table = sorted_rows(table, ranks(answered))
    drop = ["context"] if table["context"].n_unique() == 1 else []
    drop += [name for name in ("reason", "command") if not any(table[name])]
    shown = table.with_columns(
        nets(), pl.col("found").map_elements(plainly, return_dtype=pl.String), pl.col("context").replace(_short(table))
    )
    shown = shown.drop(drop).rename({"shortcut": "net"})
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
    band = pl.concat_str(bounds.fixed("band_low", 2), pl.lit(" to "), bounds.fixed("band_high", 2)).fill_null("none")
    shown = table.select(
        *("source", "net", "quantity"),
        published=bounds.fixed("published", 2).fill_null("no number"),
        band=band,
        ours=bounds.fixed("ours", 2).fill_null(""),
        interval=bounds.interval("lower", "upper").fill_null(""),
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
    common, shown = alike(table)
    caption = "One line per command, commit, versions and hardware that made runs together."
    if common:
        caption += f" The same for all: {'; '.join(f'{name} {value}' for name, value in common.items())}."
    return Drawing(None, caption, table, shown)


def _named(axis: str) -> pl.Expr:
    if axis == "cell":
        return pl.col(axis).str.slice(0, 8)
    return _thousands(axis).alias(axis) if axis in NUMBERS else pl.col(axis)


def _short(table: pl.DataFrame) -> dict[str, str]:
    return shorter(table["context"].drop_nulls().unique().to_list())


def _spread(name: str, scale: int, digits: int) -> pl.Expr:
    sd = pl.concat_str(pl.lit(" ± "), bounds.fixed(scale * pl.col(f"{name}_sd"), digits))
    return pl.concat_str(bounds.fixed(scale * pl.col(f"{name}_mean"), digits), sd.fill_null("")).fill_null("")


def _thousands(name: str) -> pl.Expr:
    return bounds.fixed(name, 0).fill_null("?")
