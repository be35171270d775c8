"""Where the methods fall short, as measured by `simulation`: the page says so beside its verdicts."""

from pathlib import Path

import polars as pl

TABLE = Path(__file__).with_name("simulated.csv")
COVERAGE, FALSE = 0.94, 0.05  # what the verdicts are held to


def shortfalls(n: int) -> list[str]:
    """Sentences on the simulated worlds of this n in which intervals or verdicts miss what they are held to."""
    found = pl.read_csv(TABLE).filter(pl.col("n") == n)
    short = found.filter((pl.col("coverage") < COVERAGE) | (pl.col("false") > FALSE))
    if short.is_empty():
        return []
    worlds = "; ".join(
        f"{_world(row)}: coverage {100 * row['coverage']:.1f} %, false verdicts {100 * row['false']:.1f} %"
        for row in short.iter_rows(named=True)
    )
    return [
        f"in simulated experiments of n = {n} ({found['draws'][0]:,} each) intervals or verdicts fall short of "
        f"{100 * COVERAGE:.0f} % and {100 * FALSE:.0f} % in {len(short)} of {len(found)} worlds: {worlds}"
    ]


def _world(row: dict[str, object]) -> str:
    parts = [f"{row['shape']} errors"]
    parts += [f"deepest cells {row['ratio']:.0f} x as spread"] if row["ratio"] != 1.0 else []
    parts += [f"1 run in {1 / float(str(row['failures'])):.0f} fails"] if row["failures"] else []
    parts += [f"correlation {row['correlation']}"] if row["correlation"] else []
    return f"{', '.join(parts)}, gap {row['gap']}"
