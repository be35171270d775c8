"""P11 from slices whose numbers are known; runs without a study, and files that are none."""

import math

import polars as pl
import pytest

from analysis.records import write
from reslab.analysis import landscape
from reslab.analysis.answer import answer
from reslab.analysis.landscape import basin, bent, minima, noise
from reslab.report import charts_landscape
from reslab.report.figures import write_figures
from reslab.report.panels import PANELS
from reslab.runs.folder import RunFolder
from reslab.runs.studies import schema, study_file, write_study

CELLS = {(s, d): [0.1, 0.2] for s in ("none", "identity") for d in (20, 56)}
SHARES = [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_the_basin_is_a_length():
    valley = [abs(a) for a in SHARES]
    assert basin(SHARES, valley, 1.0) == 1.0
    assert basin(SHARES, valley, 0.25) == pytest.approx(0.25)
    assert basin(SHARES, [1.0, 0.0, 0.0, 0.0, math.inf], 0.5) == pytest.approx(1.25 / 2)
    assert basin(SHARES, [math.nan, 0.0, 9.0, 0.0, math.nan], 3.0) == pytest.approx(2 * 0.5 / 3 / 2)
    assert basin(SHARES, [2.0] * 5, 2.0) == 0.0
    assert basin(SHARES, [math.nan] * 5, 2.0) == 0.0
    assert basin(SHARES, [1.0] * 5, 2.0) == 1.0


def test_bends_are_counted_inside_alone():
    parabola = [a * a for a in SHARES]
    assert bent(parabola, 2.0) == 0.0
    assert bent([-a * a for a in SHARES], 2.0) == 1.0
    assert bent([1.0, 0.9, 0.0, 0.9, 1.0], 2.0) == pytest.approx(2 / 3)
    assert bent([1.0, 0.9, 0.0, 0.9, 1.0], 0.95) == 0.0
    assert bent(parabola, 0.1) is None
    assert bent([1.0, 1.0 + 1e-6, 1.0, 1.0 + 1e-6, 1.0], 2.0) == 0.0  # rounding
    assert bent([math.inf, 1.0, 0.5, 1.0, math.nan], 2.0) == 0.0


def test_strict_minima():
    assert minima([a * a for a in SHARES]) == [2]
    assert minima([3.0, 1.0, 2.0, 1.0, 3.0]) == [1, 3]
    assert minima([0.0, 1.0, 2.0, 3.0, 4.0]) == []
    assert minima([2.0, 1.0, 1.0, 1.0, 2.0]) == []
    assert minima([1.0, 1.0 - 1e-6, 1.0, 1.0, 1.0]) == []
    assert minima([math.nan, 1.0, math.inf, math.inf, math.inf]) == [1]
    assert minima([math.nan] * 5) == []


def test_noise_is_a_median_inside():
    assert noise([0.0, 1.0, 9.0], [0.1, 1.3, 8.0], 2.0) == pytest.approx(0.2)
    assert noise([9.0, math.nan], [9.0, 1.0], 2.0) is None


def table(wide, wiggle=0.0):
    """Two directions, parabolas as wide as this; the second subset has no wiggle, and a loss 0.1 higher."""
    rows = []
    for draw in (0, 1):
        for way in ("raw", "retaken"):
            for subset in (1, 2):
                for at, a in enumerate(SHARES):
                    loss = (a / wide) ** 2 + 0.1 * subset + (wiggle if at == 3 and subset == 1 else 0.0)
                    rows.append((draw, way, subset, a, loss, math.log(10), 300))
    return pl.DataFrame(rows, schema=schema("slices"), orient="row")


def folder(outputs, shortcut, depth, seed):
    return RunFolder(outputs / "runs" / f"{shortcut}{depth}" / f"seed={seed}")


@pytest.fixture
def outputs(tmp_path):
    made = write(tmp_path, CELLS)
    for seed in (0, 1):
        write_study(folder(made, "none", 56, seed), "slices", table(0.5, wiggle=6.0))
        write_study(folder(made, "identity", 56, seed), "slices", table(2.0 + seed))
    write_study(folder(made, "none", 20, 0), "slices", table(1.0))
    return made


def test_numbers_of_a_slice():
    (row,) = landscape.shapes(table(0.5, wiggle=6.0)).filter(statistics="raw", direction=0).to_dicts()
    assert row["basin"] == pytest.approx(0.25 + (math.log(10) - 0.1) / 7 / 4 + (math.log(10) - 1.1) / 12, rel=0.2)
    assert row["minima"] == 1  # 4.1, 1.1, 0.1, 7.1, 4.1
    assert row["repeated"] == 1
    assert row["noise"] == pytest.approx(0.1)
    assert landscape.shapes(table(0.5))["bent"].to_list() == [0.0] * 4


def test_lines_medians_and_the_table(outputs):
    drawn = charts_landscape.slices(answer(outputs, "toy"))
    middle = drawn.data.filter(part="median", shortcut="identity", statistics="raw")
    assert middle["at"].to_list() == SHARES
    assert middle["n"].to_list() == [4] * 5
    assert middle["low"][0] == pytest.approx(1 / 9 + 0.1)
    assert middle["high"][0] == pytest.approx(1 / 4 + 0.1)
    assert set(drawn.data.filter(part="line")["seed"]) == {0}
    assert drawn.shown["net"].to_list() == [net for net in ("plain 20", "plain 56", "identity 56") for _ in range(2)]
    assert drawn.shown["basin %"].to_list()[-1] == "100.0 [100.0, 100.0]"
    assert drawn.shown["minima"].to_list()[0] == "1 [1, 1]"
    assert drawn.shown["n"].to_list() == ["2", "2", "4", "4", "4", "4"]
    assert "plain 20: n = 1, seed 0; plain 56: n = 2, seeds 0, 1; identity 56: n = 2" in drawn.brief
    assert "300 training images along 2 random directions" in drawn.brief
    assert "A slice is no proof" in drawn.brief


def test_a_slice_that_leaves_the_numbers_is_drawn(outputs):
    broken = table(1.0).with_columns(loss=pl.when(pl.col("at") > 0).then(math.inf).otherwise(pl.col("loss")))
    write_study(folder(outputs, "none", 56, 0), "slices", broken)
    write_study(folder(outputs, "none", 56, 1), "slices", broken.with_columns(loss=pl.lit(math.nan)))
    drawn = charts_landscape.slices(answer(outputs, "toy"))
    assert drawn.shown.filter(net="plain 56")["noise, nats"].to_list() == ["0.1 [0.1, 0.1]"] * 2


def curvatures(value):
    rows = [("raw", 1, value, 1e-4, 40, 38.0, 0.1, 300, 5000), ("raw", 2, value / 2, 9.0, 40, 38.0, 0.1, 300, 5000)]
    rows.append(("filter", 1, 10 * value, 1e-3, 30, 38.0, 0.1, 300, 5000))
    return pl.DataFrame(rows, schema=schema("curvature"), orient="row")


def test_the_table_of_curvature(outputs):
    for seed in (0, 1):
        write_study(folder(outputs, "none", 56, seed), "curvature", curvatures(4.0 + 2 * seed))
    write_study(folder(outputs, "identity", 20, 0), "curvature", curvatures(40.0))
    drawn = charts_landscape.curvature(answer(outputs, "toy"))
    assert drawn.chart is None
    assert drawn.shown.to_dicts()[0] == {
        **{"net": "plain 56", "largest eigenvalue of H": "5 [4, 6]", "residual": "0.0001", "stable below": "38"},
        **{"n": "2", "largest eigenvalue of D H D": "50 [40, 60]", "its residual": "0.001"},
    }
    assert drawn.shown["net"].to_list() == ["plain 56", "identity 20"]
    assert "300 training images" in drawn.caption


@pytest.mark.parametrize("key", ["slices", "curvature"])
def test_it_becomes_a_picture_or_a_table(outputs, tmp_path, key):
    write_study(folder(outputs, "none", 56, 0), "curvature", curvatures(4.0))
    panel = next(panel for panel in PANELS if panel.key == key)
    files = write_figures([(panel, panel.draw(answer(outputs, "toy")))], tmp_path / "figures", experiment="toy")
    assert {file.name for file in files} == ({"slices.svg", "slices.png"} if key == "slices" else set())


def test_without_studies_there_is_no_panel_and_a_file_that_is_none_counts_as_absent(tmp_path):
    bare = write(tmp_path, CELLS)
    at = folder(bare, "none", 56, 1)
    (at.path / "probes").mkdir()
    for name, draw in (("slices", charts_landscape.slices), ("curvature", charts_landscape.curvature)):
        assert draw(answer(bare, "toy")) is None
        study_file(at, name).write_text("no table")
        assert draw(answer(bare, "toy")) is None
