"""What interventions remove, and which hypotheses that speaks for or against, as they are read."""

import polars as pl

from reslab.analysis.answer import Answer
from reslab.report import bounds
from reslab.report.drawing import Drawing
from reslab.report.tables_differences import LEVELS

RULE = (
    "Removes: more than half of the gap goes, surely; does not remove: less than half goes, surely; undecided: the "
    "interval holds one half, or no share can be given. Harms: the shallow net's error rises by more than the margin, "
    "surely. Both go over all planned interventions and depths together (looks, Holm). "
)
WEIGHING = (
    "Rule, the same for every experiment: every intervention that decides speaks as its line of the table in "
    "reslab.analysis.hypotheses says, unless it harms the shallow net by more than a tenth of the gap or breaks the "
    "deep one, which tests nothing; a hypothesis has the verdict on which all that speak agree, and is undecided where "
    "they contradict one another, where none speaks, or where the gap itself is not established. "
)


def cause_table(table: pl.DataFrame) -> pl.DataFrame:
    """Share of the gap removed, what happens to the shallow net, the gap left; n and failed runs in every line."""
    failed = [pl.col(name).cast(pl.String) for name in ("failed_with", "failed_without", "failed_shallow")]
    shown = table.select(
        *("intervention", "depth", "against", "n"),
        pl.concat_str(failed, separator=" / ").alias("failed with / without / shallow"),
        bounds.fixed("gap_points", 2, sign=True).alias("gap, points"),
        percent("share", "lower", "upper").alias("share removed, % [interval that decides]"),
        bounds.levels().alias(LEVELS),
        bounds.interval("own_low", "own_high", digits=0).fill_null("").alias("[95 %, Fieller]"),
        pl.when(pl.col("look").is_null()).then(pl.concat_str("verdict", pl.lit(" (interim)"))).otherwise("verdict"),
        bounds.points("shallow_points", "shallow_own_lower", "shallow_own_upper")
        .fill_null("not run")
        .alias("shallow net better by, points [95 %]"),
        pl.col("shallow_verdict").alias("shallow net"),
        bounds.points("left_points", "left_lower", "left_upper").fill_null("").alias("gap left, points [95 %]"),
        _frozen().alias("layers frozen with / without, % of the time"),
        pl.col("hypotheses").alias("bears on"),
        pl.col("method"),
        pl.col("reason").alias("why no share"),
    )
    optional = ("layers frozen with / without, % of the time", "why no share", "bears on")
    return shown.drop([name for name in optional if (shown[name] == "").all()])


def _frozen() -> pl.Expr:
    parts = [bounds.fixed(100 * pl.col(f"frozen_{name}"), 1) for name in ("with", "without")]
    return pl.concat_str(parts[0], pl.lit(" / "), parts[1]).fill_null("")


def percent(value: str, lower: str, upper: str) -> pl.Expr:
    """A share in percent with its interval; "none" where there is no share, "open" on a side without a bound."""
    low, high = (bounds.fixed(100 * pl.col(name), 0).fill_null("open") for name in (lower, upper))
    mid = bounds.fixed(100 * pl.col(value), 0)
    return pl.concat_str(mid, pl.lit(" ["), low, pl.lit(", "), high, pl.lit("]")).fill_null("none")


def in_percent(table: pl.DataFrame) -> pl.DataFrame:
    """With the 95 % interval of the share in percent, null where no share is given."""
    return table.with_columns(own_low=100 * pl.col("own_lower"), own_high=100 * pl.col("own_upper"))


def evidence(answered: Answer) -> Drawing | None:
    """P12, the evidence matrix: hypotheses by depth, each with its verdict and the interventions that give it."""
    table = answered.evidence
    if table.is_empty():
        return None
    few, many = min(table["n"].drop_nulls(), default=0), max(table["n"].drop_nulls(), default=0)
    n = f"n = {few} seeds" if few == many else f"n = {few} to {many} seeds"
    caption = (
        f"Supports, against, undecided, or not tested here; in brackets how each intervention did: share of the plain "
        f"gap removed with its own 95 % interval (Fieller), {n}. {WEIGHING}"
        "What an outcome can mean stands in the last column."
    )
    return Drawing(None, caption, table, evidence_table(table))


def evidence_table(table: pl.DataFrame) -> pl.DataFrame:
    """One line per hypothesis, one column per depth."""
    said = (
        pl.when(pl.col("interventions") == "")
        .then(pl.lit(""))
        .otherwise(pl.concat_str(pl.lit(" ("), "interventions", pl.lit(")")))
    )
    cell = pl.concat_str(
        "verdict", pl.when(pl.col("verdict") == "undecided").then(_because()).otherwise(pl.lit("")), said
    )
    keyed = table.with_columns(cell=cell)
    first = keyed.unique("hypothesis", keep="first", maintain_order=True)
    shown = first.select(hypothesis=pl.concat_str("hypothesis", pl.lit(": "), "claim", pl.lit(" ("), "by", pl.lit(")")))
    for depth in keyed["depth"].unique().sort():
        shown = shown.with_columns(keyed.filter(depth=depth)["cell"].alias(f"depth {depth}"))
    return shown.with_columns(first["reading"].alias("how to read it"))


def _because() -> pl.Expr:
    return pl.when(pl.col("reason") == "").then(pl.lit("")).otherwise(pl.concat_str(pl.lit(", "), "reason"))
