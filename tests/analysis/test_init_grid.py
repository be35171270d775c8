"""Ratios of a grid and the sentence that they give, on numbers whose answer is known."""

import math

import polars as pl
import pytest

from reslab.analysis import init_grid
from reslab.analysis.init_grid import number

PLACE = {"order": "post", "norm": "batch", "seed": 0}


def rows(shortcut, depth, ratio, **place):
    where = PLACE | place | {"shortcut": shortcut, "depth": depth, "error": None}
    found = [("trunk", "gradient_ratio", ratio), ("trunk", "weight_gradient_ratio", 2.0), ("trunk", "depth_scale", 3.0)]
    found += [
        ("trunk.0", "backward_growth", 1.5),
        ("trunk.1", "backward_growth", 1.4),
        ("trunk.2", "backward_growth", 1.3),
    ]
    found += [("trunk.0.0", "variance_ratio", 1.0), ("trunk.2.8", "variance_ratio", 0.1)]
    named = [dict(zip(("layer", "statistic", "value"), row, strict=True)) for row in found]
    return [where | {"probe": "any"} | row for row in named]


def grid(*nets):
    return init_grid.ratios(pl.DataFrame([row for net in nets for row in net]))


def test_one_row_per_net_with_its_ends():
    table = grid(rows("none", 56, 1e4), rows("identity", 56, 18.0))
    assert table["shortcut"].to_list() == ["none", "identity"]
    first = table.row(0, named=True)
    assert (first["gradient_ratio"], first["first_stage_growth"], first["last_stage_growth"]) == (1e4, 1.5, 1.3)
    assert first["branch_over_shortcut"] == 0.1


def test_means_over_seeds_are_geometric():
    table = grid(rows("none", 56, 10.0), rows("none", 56, 1000.0, seed=1))
    means = init_grid.over_seeds(table)
    assert means["n"].to_list() == [2]
    assert means["gradient_ratio"][0] == pytest.approx(100.0)


def test_explosion_is_no_vanishing_to_cure():
    said = init_grid.answer(grid(rows("none", 20, 18.0), rows("none", 56, 1e4), rows("identity", 56, 18.6)))
    assert said == (
        "At order=post, norm=batch, depth 56: no vanishing gradient to cure: the plain net's explodes towards the "
        "input, first over last unit 10,000; with a shortcut: identity 18.6 (explodes)."
    )


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(0.01, "gradient vanishes"), (1.5, "is kept"), (math.nan, "is undefined"), (math.inf, "infinite")],
)
def test_other_answers(ratio, words):
    assert words in init_grid.answer(grid(rows("none", 56, ratio)))


def test_a_grid_without_plain_nets_is_answered_too():
    assert "identity 2 (is kept)" in init_grid.answer(grid(rows("identity", 56, 2.0)))


def test_tables_as_they_are_read():
    by_depth, growth = init_grid.tables(grid(rows("none", 56, 1e4), rows("identity", 56, 18.0), rows("none", 20, 18.0)))
    assert by_depth.filter(depth=56).row(0) == ("post", "batch", 56, "10,000", "18")
    assert by_depth.filter(depth=20).row(0) == ("post", "batch", 20, "18", None)
    assert growth["net"].to_list() == ["plain", "identity"]
    assert set(growth["pi/(pi-1)"]) == {"1.467"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (17.68, "17.7"),
        (1239.0, "1,240"),
        (1.5e7, "1.5e+07"),
        (1e-5, "1e-05"),
        (None, "undefined"),
        (math.inf, "infinite"),
    ],
)
def test_numbers(value, said):
    assert number(value) == said
