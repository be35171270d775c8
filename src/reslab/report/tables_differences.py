"""Gaps, rescues, contrasts and gaps at best rates as they are read, a line each: number, interval, levels, verdict."""

import polars as pl

from reslab.analysis.study import Study
from reslab.report import bounds
from reslab.report.names import nets, shorter

LEVELS = "levels L / U"
UNDEFINED = "not defined"
DECIDES = "[interval that decides]"
NEEDED = "what would settle it"
PLACE = ("context", "net", "depth", "against", "n")


def gap_table(table: pl.DataFrame) -> pl.DataFrame:
    """Gap, verdict, its kind, failures, and what would settle it; columns in which nothing stands are left out."""
    failed = pl.concat_str(
        pl.col("failures").cast(pl.String),
        pl.lit(" ("),
        bounds.fixed(100 * pl.col("failure_rate_low"), 0),
        pl.lit(" to "),
        bounds.fixed(100 * pl.col("failure_rate_high"), 0),
        pl.lit(" %)"),
    )
    shown = table.select(
        *_place(table, "against"),
        bounds.points("gap_points", "lower_points", "upper_points").alias(f"gap, points {DECIDES}"),
        bounds.levels().alias(LEVELS),
        _verdict(),
        kind=pl.col("kind").fill_null(""),
        failures=pl.when(pl.col("failures") > 0)
        .then(failed.fill_null(pl.col("failures").cast(pl.String)))
        .fill_null(""),
        superiority=bounds.fixed("superiority", 2).fill_null(""),
        needed=pl.col("needed").fill_null(""),
    )
    kept = [name for name in shown.columns if name in (*PLACE, "verdict") or (shown[name] != "").any()]
    return shown.select(kept).rename(
        {
            "failures": "failed runs",
            "superiority": "P(deeper is worse)",
            "needed": NEEDED,
        },
        strict=False,
    )


def beside_table(table: pl.DataFrame) -> pl.DataFrame:
    """What stands beside a gap: the test error, and the cross-entropy where errors have little left to tell."""
    shown = table.select(
        *_place(table, "against"),
        bounds.points("gap_points", "lower_points", "upper_points").alias(f"gap, points {DECIDES}"),
        bounds.points("test_gap_points", "test_lower_points", "test_upper_points").alias("test gap, points [95 %]"),
        bounds.points("log_ce_gap", "log_ce_lower", "log_ce_upper").alias("log cross-entropy gap, nats [95 %]"),
        method="method",
    )
    return shown.select(column for column in shown if column.null_count() < len(shown)).with_columns(
        pl.col(pl.String).fill_null("")
    )


def verdict_table(table: pl.DataFrame) -> pl.DataFrame:
    """The shortest answer: gap, interval and verdict of every depth."""
    gap = bounds.points("gap_points", "lower_points", "upper_points").alias(f"gap, points {DECIDES}")
    return table.select(nets().alias("net"), "depth", "against", "n", gap, _verdict())


def rescue_table(table: pl.DataFrame) -> pl.DataFrame:
    """What a shortcut takes away, also as a share of the plain gap."""
    low, mid, high = (bounds.fixed(100 * pl.col(f"fraction{end}"), 0) for end in ("_lower", "", "_upper"))
    share = pl.concat_str(mid, pl.lit(" ["), low, pl.lit(", "), high, pl.lit("]")).fill_null(UNDEFINED)
    return table.select(
        *_place(table, "reference"),
        bounds.points("rescue_points", "lower_points", "upper_points").alias(f"rescue, points {DECIDES}"),
        bounds.levels().alias(LEVELS),
        _verdict(),
        share.alias("share of the plain gap, % [95 %, Fieller]"),
        *_twins(),
        "method",
        *_needed(table),
    )


def contrast_table(table: pl.DataFrame) -> pl.DataFrame:
    """Plain less a shortcut at one depth."""
    return table.select(
        *_place(table, None),
        bounds.points("difference_points", "lower_points", "upper_points").alias(f"plain less net, points {DECIDES}"),
        bounds.levels().alias(LEVELS),
        _verdict(),
        *_twins(),
        "method",
        *_needed(table),
    )


def rate_table(table: pl.DataFrame) -> pl.DataFrame:
    """The gap at each depth's best rate."""
    return table.select(
        *(nets().alias("net"), "depth", "lr", "against", pl.col("lr_against").alias("lr of against"), "n"),
        bounds.points("gap_points", "lower_points", "upper_points").alias(f"gap, points {DECIDES}"),
        bounds.levels().alias(LEVELS),
        _verdict(),
    )


def reading(study: Study, gaps: pl.DataFrame) -> str:
    """What the words of the table of gaps mean."""
    delta = f"{study.delta:g} points"
    said = (
        f"Degrades: some shallower depth is better by more than {delta}. Does not degrade: none is better by {delta}. "
        "Undecided: the interval crosses the margin, and more seeds are needed; or no run of the shallower depth "
        "learned. Levels: one-sided error probabilities of the two bounds, each of this gap alone, after looks, Holm "
        "and the number of comparisons."
    )
    if (gaps["kind"].fill_null("") != "").any():
        said += (
            " Kind: optimisation, where the training error itself rises; over-fitting, where it does not and the test "
            f"gap is above {delta} by the lower bound of its own 95 % interval, which is corrected for nothing."
        )
    if gaps["failures"].sum():
        said += (
            " Failed runs of both cells count as chance; in brackets the 95 % range of the deep cell's failure rate "
            "(Clopper-Pearson). P(deeper is worse): probability of superiority over all pairs of runs."
        )
    return said


def _place(table: pl.DataFrame, against: str | None) -> list[pl.Expr]:
    several = table["context"].n_unique() > 1
    where = [pl.col("context").replace(shorter(table["context"].unique().to_list()))] if several else []
    other = [pl.col(against).alias("against")] if against else []
    return [*where, nets().alias("net"), pl.col("depth"), *other, pl.col("n")]


def _verdict() -> pl.Expr:
    interim = pl.concat_str("verdict", pl.lit(" (interim)"))
    return pl.when(pl.col("look").is_null()).then(interim).otherwise("verdict").alias("verdict")


def _needed(table: pl.DataFrame) -> list[pl.Expr]:
    """Where anything is undecided, why, and what would settle it."""
    column = pl.col("needed").fill_null("")
    return [column.alias(NEEDED)] if (table.select(column).to_series() != "").any() else []


def _twins() -> list[pl.Expr]:
    return [
        bounds.fixed("correlation", 2, sign=True).fill_null(UNDEFINED).alias("seed correlation"),
        bounds.fixed(1 / pl.col("pairing"), 2).fill_null(UNDEFINED).alias("paired / unpaired width"),
    ]
