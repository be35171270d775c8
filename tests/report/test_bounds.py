"""Intervals: a side without a bound is open in words and in pictures, and never ends at the point."""

import polars as pl
import pytest

from report.synthetic import Grid, extended, write_records
from reslab.analysis.answer import answer
from reslab.report import bounds, style
from reslab.report.charts_budget import budget
from reslab.report.charts_forest import gaps, rescues
from reslab.report.tables_differences import LEVELS
from reslab.report.write import draw

KINDS = {"both": (-1.0, 3.0), "right": (-1.0, None), "left": (None, 3.0), "none": (None, None)}


def table(*kinds):
    rows = [{"value": 1.0, "lower_points": KINDS[k][0], "upper_points": KINDS[k][1], "n": 3} for k in kinds]
    return pl.DataFrame(rows, schema_overrides={"lower_points": pl.Float64, "upper_points": pl.Float64})


@pytest.mark.parametrize(
    ("kind", "words"),
    [("both", "[-1.00, +3.00]"), ("right", "[-1.00, open]"), ("left", "[open, +3.00]"), ("none", "no interval")],
)
def test_open_sides_are_said(kind, words):
    said = table(kind).select(bounds.points("value", "lower_points", "upper_points")).item()
    assert said == f"+1.00 {words}"


def test_an_open_side_reaches_beyond_everything_that_has_a_place():
    """The dashed line must be longer than any bar, or it would read as one."""
    found = table(*KINDS)
    axis = style.points(*bounds.reach(found, 0.25), 0.25)
    drawn = bounds.ends(found, low=axis.low, high=axis.high)
    both, right, left, none = drawn.iter_rows(named=True)
    assert (both["begin"], both["end"], both["open"], both["tip"]) == (-1, 3, "", None)
    assert (right["begin"], right["end"], right["open"]) == (-1, 1, "high")
    assert right["tip"] > 3.5
    assert (left["begin"], left["end"], left["open"]) == (1, 3, "low")
    assert left["tip"] < -1.5
    assert (none["begin"], none["end"], none["open"], none["none"]) == (None, None, "", True)
    assert none["interval"] == "no interval at n = 3"
    domain = axis.scale["domain"]
    assert domain[0] <= left["tip"]
    assert right["tip"] <= domain[1]


def test_without_open_sides_no_arrow_is_made():
    low, high = bounds.reach(table("both", "none"), 0.25)
    assert (low, high) == (-1, 3)


def test_numbers_have_separators_and_two_digits():
    column = pl.DataFrame({"x": [1234.5, -0.004, None]})
    assert column.select(bounds.fixed("x", 2)).to_series().to_list() == ["1,234.50", "0.00", None]


def test_levels_are_those_of_the_bounds():
    levels = pl.DataFrame({"lower_level": [0.00139, None], "upper_level": [0.025, None]})
    assert levels.select(bounds.levels()).to_series().to_list() == ["0.0014 / 0.025", ""]


def drawn(drawing):
    return [row for rows in drawing.chart.to_dict()["datasets"].values() for row in rows if "hollow" in row]


def test_a_gap_without_interval_is_hollow_and_says_so(tmp_path):
    answered = answer(write_records(tmp_path / "outputs", grid=Grid(seeds=1)), "toy")
    made = gaps(answered)
    assert all(row["hollow"] and row["begin"] is None for row in drawn(made))
    assert all("no interval at n = 1" in row["row"].replace("¦", " ") for row in drawn(made))
    assert "Hollow mark: no interval" in made.caption


def test_gaps_and_rescues_stand_in_the_same_order(tmp_path):
    """The main context first, then by budget as a number, not as a word."""
    grid = Grid(("none", "identity"), depths=(8, 20, 56), steps=(230, 3450, 920))
    answered = answer(write_records(tmp_path / "outputs", grid=grid), "toy")
    first = answered.runs.filter("main")["context"][0]
    contexts = [first, *(f"{s} steps, lr 0.1" for s in ("230", "920", "3,450") if not first.startswith(f"{s} "))]
    for made in (gaps(answered), rescues(answered)):
        assert made.data["context"].unique(maintain_order=True).to_list() == contexts
        assert [row["depth"] for row in drawn(made)][:2] == [20, 56]
        assert all("(n = 3)" in row["row"] for row in drawn(made))
    assert "what would settle it" in gaps(answered).shown.columns


def test_budgets_are_drawn_from_their_own_table(tmp_path):
    """Not from the gaps, whose reference may be another at every budget."""
    answered = answer(write_records(tmp_path / "outputs", grid=Grid(steps=(230, 920))), "toy")
    made = budget(answered)
    assert len(drawn(made)) == len(answered.budgets) > 0
    for depth, against in answered.budgets.select("depth", "against").unique().iter_rows():
        assert f"{depth} layers against {against}" in {row["layers"] for row in drawn(made)}
    assert "every budget is judged on the depths that all budgets have" in made.caption


def test_no_caption_promises_that_all_bounds_hold_at_once(tmp_path):
    """Verdicts are of the family; bounds have levels of their own, which stand in the table below the picture."""
    answered = extended(answer(write_records(tmp_path / "outputs", grid=Grid(steps=(230, 920))), "toy"))
    made = {panel.key: drawing for panel, drawing in draw(answered) if drawing is not None}
    for key in ("gaps", "rescues", "budget", "rates", "contrasts", "causes"):
        assert "the verdicts hold over" in made[key].caption.lower()
        assert "do not hold all at once" in made[key].caption
        assert "95 % over" not in made[key].caption
        levels = made[key].shown[LEVELS].to_list()
        assert any(levels)
        assert len(levels) == len(made[key].data)


def test_nets_that_never_learned_have_no_bar_and_a_reason(tmp_path):
    dead = tuple((shortcut, 56, seed, "at_chance") for shortcut in ("none", "identity") for seed in range(5))
    answered = answer(write_records(tmp_path / "outputs", grid=Grid(seeds=5, fates=dead)), "toy")
    made = {panel.key: drawing for panel, drawing in draw(answered) if drawing is not None}
    for key, column in (("contrasts", "plain less net, points"), ("rescues", "rescue, points")):
        shown = made[key].shown.filter(depth=56).row(0, named=True)
        assert shown[f"{column} [interval that decides]"].endswith(" no interval")
        assert shown["verdict"] == "undecided"
        assert shown["what would settle it"].startswith("no run of either net of this depth learned")
    (row,) = (row for row in drawn(made["rescues"]) if row["depth"] == 56)
    assert row["hollow"]
    assert row["begin"] is None
