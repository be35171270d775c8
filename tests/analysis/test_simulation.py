"""Whole verdicts on simulated errors: the committed table is what the code gives, and says where it falls short."""

import math

import numpy as np
import polars as pl
import pytest

from reslab.analysis.badges import shortfalls
from reslab.analysis.calibration import COVERAGE, FALSE, TABLE
from reslab.analysis.simulation import KEYS, SEEDS, SHAPES, World, measure, worlds

DRAWS = 60
AGAIN = [
    World("none"),
    World("at the margin", ratio=10.0),
    World("none", "skewed", correlation=0.8),
    World("at the margin", "zero-inflated"),
    World("none", "bimodal", ratio=10.0),
    World("as in He 2015", spread=0.1, failures=0.2),
]


def committed(world, n):
    table = pl.read_csv(TABLE).filter(
        pl.col("gap") == world.gap,
        pl.col("shape") == world.shape,
        pl.col("ratio") == world.ratio,
        pl.col("correlation") == world.correlation,
        pl.col("failures") == world.failures,
        pl.col("n") == n,
    )
    return table.row(0, named=True)


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("world", AGAIN, ids=lambda w: f"{w.gap}-{w.shape}-{w.ratio:g}-{w.correlation}-{w.failures}")
def test_the_committed_table_is_what_the_code_gives(world, n):
    """Within four standard errors of the smaller simulation: a changed rule would move whole columns."""
    found, said = measure(world, n, DRAWS), committed(world, n)
    print(found)
    for name in ("coverage", "false", "degrades", "fine"):
        share = said[name]
        allowed = 4 * math.sqrt(max(share * (1 - share), 0.25 / DRAWS) / DRAWS) + 0.01
        assert getattr(found, name) == pytest.approx(share, abs=allowed), name


def test_every_world_is_in_the_table_once():
    table = pl.read_csv(TABLE)
    assert len(table) == len(list(worlds())) * len(SEEDS)
    assert not table.select("gap", "shape", "ratio", "correlation", "failures", "n").is_duplicated().any()
    assert table["draws"].min() >= 1000
    assert set(table["shape"]) == set(SHAPES)


def test_what_the_method_promises_holds_where_its_assumptions_do():
    """Normal, skewed and zero-inflated errors of equal spread, correlated arms too: 94 % and 5 %."""
    table = pl.read_csv(TABLE).filter(pl.col("failures") == 0, pl.col("ratio") == 1.0, pl.col("shape") != "bimodal")
    print(table)
    assert len(table) == 39
    assert table["coverage"].min() >= COVERAGE
    assert table["false"].max() <= FALSE


def test_shortfalls_are_exactly_what_the_page_says():
    for n in SEEDS:
        table = pl.read_csv(TABLE).filter(pl.col("n") == n)
        short = table.filter((pl.col("coverage") < COVERAGE) | (pl.col("false") > FALSE))
        said = shortfalls(n)
        assert bool(said) == bool(len(short))
        assert sum(sentence.count("% covered") for sentence in said) == len(short)


@pytest.mark.parametrize("n", [2, 4, 6, 7, 10, 100])
def test_silence_never_means_that_nobody_looked(n):
    (said,) = shortfalls(n)
    assert f"not simulated at n = {n}, but at n = {', '.join(map(str, SEEDS))}" in said


def test_known_degradation_is_found_and_healthy_nets_are_called_healthy():
    """He 2015's training errors, spread 0.1: plain-44 and plain-56 degrade (2 of 6), at n = 5 nearly always."""
    table = pl.read_csv(TABLE).filter(pl.col("gap") == "as in He 2015", pl.col("failures") == 0)
    print(table.select("n", "degrades", "fine", "false"))
    by_n = {row["n"]: row for row in table.iter_rows(named=True)}
    assert by_n[5]["degrades"] == pytest.approx(2 / 6, abs=0.02)
    assert by_n[3]["degrades"] <= by_n[5]["degrades"] + 0.01
    assert by_n[3]["fine"] < by_n[8]["fine"]


@pytest.mark.parametrize("world", [World("at the margin", shape, ratio=3.0, failures=0.1) for shape in SHAPES])
def test_the_generator_has_the_means_that_truth_is_computed_from(world):
    errors, failed = world.draw(np.random.default_rng(0), 4000, 10)
    means, sds = errors.mean(axis=(0, 2)), errors.std(axis=(0, 2))
    assert np.all(np.abs(means - world.expected()) < 5 * sds / math.sqrt(errors[:, 0].size) + 1e-5)
    assert failed.mean() == pytest.approx(0.1 * sum(depth == 56 for _, depth in KEYS) / len(KEYS), abs=0.01)


def test_correlated_arms_are_correlated():
    errors, _ = World("none", correlation=0.8).draw(np.random.default_rng(0), 2000, 8)
    assert np.corrcoef(errors[:, 0].ravel(), errors[:, 4].ravel())[0, 1] == pytest.approx(0.8, abs=0.02)


def test_simulations_repeat():
    assert measure(World("none"), 3, 20) == measure(World("none"), 3, 20)
