"""Where the methods fall short, or were not measured, by `simulation`: the page says so beside its verdicts."""

from pathlib import Path

import polars as pl

TABLE = Path(__file__).with_name("simulated.csv")
COVERAGE, FALSE = 0.94, 0.05  # what the verdicts are held to


def shortfalls(n: int) -> list[str]:
    """What must be said of this n: in which simulated worlds intervals or verdicts miss what they are held to.

    Of an n that was not simulated, that.
    """
    table = pl.read_csv(TABLE)
    found = table.filter(pl.col("n") == n)
    if found.is_empty():
        known = ", ".join(map(str, table["n"].unique().sort()))
        return [f"not simulated at n = {n}, but at n = {known}: how often verdicts are false here is not known"]
    short = found.filter((pl.col("coverage") < COVERAGE) | (pl.col("false") > FALSE))
    if short.is_empty():
        return []
    worst = short.sort(pl.max_horizontal(pl.col("false") - FALSE, COVERAGE - pl.col("coverage")), descending=True)
    worlds = "; ".join(
        f"{_world(row)}: {100 * row['coverage']:.1f} % covered, {100 * row['false']:.1f} % false"
        for row in worst.iter_rows(named=True)
    )
    return [
        f"simulated at n = {n}, {len(found) - len(short)} of {len(found)} kinds of experiment keep at least "
        f"{100 * COVERAGE:.0f} % coverage and at most {100 * FALSE:.0f} % false verdicts; not those whose errors fall "
        f"into two groups or runs fail now and then, which {n} seeds cannot show: of {found['draws'][0]:,} experiments "
        f"each, worst first: {worlds}"
    ]


def _world(row: dict[str, object]) -> str:
    parts = [f"{row['shape']} errors"]
    parts += [f"deepest cells {row['ratio']:.0f} x as spread"] if row["ratio"] != 1.0 else []
    parts += [f"1 run in {1 / float(str(row['failures'])):.0f} fails"] if row["failures"] else []
    parts += [f"correlation {row['correlation']}"] if row["correlation"] else []
    return f"{', '.join(parts)}, gap {row['gap']}"
