"""The panels of the instrument: what is drawn for readings that are known, and what stands there without any."""

import math

import polars as pl
import pytest

from analysis.recorded import experiment
from analysis.records import write
from reslab.analysis.answer import answer
from reslab.report import charts_branches, charts_heat, style
from reslab.report.figures import write_figures
from reslab.report.panels import PANELS

KEYS = ("gradients", "geometry", "branches")


@pytest.fixture
def toy(tmp_path):
    return answer(experiment(tmp_path), "toy")


def test_gradients_are_relative_to_the_last_unit(toy):
    drawn = charts_heat.gradients(toy)
    plain = drawn.data.filter(shortcut="none", step=0).sort("place")
    assert plain["place"].to_list() == [1, 2, 3]
    assert plain["value"].to_list() == pytest.approx([56.0**2, 56.0, 1.0])
    assert drawn.shown["stage 1"].to_list() == ["1.5"] * 4
    assert set(drawn.shown["step"]) == {"0", "5"}
    assert set(drawn.shown["xi (layers)"]) == {"infinite"}
    assert "n = 2, seeds 0, 1" in drawn.brief


def test_geometry_says_what_froze_and_what_grew(toy):
    drawn = charts_heat.geometry(toy)
    assert set(drawn.data["step"]) == {1, 2, 5}  # nothing has turned at step 0
    line = drawn.shown.row(0, named=True)
    assert (line["largest norm growth"], line["of"], line["at step"]) == ("6.0", "stem.conv1", "5")
    assert line["most frozen"] == "25 % at step 5"


def test_border_is_drawn_between_frozen_and_turning():
    cells = pl.DataFrame({"left": [0.0, 0.0, 1.0, 1.0], "place": [1, 2, 1, 2], "log": [0.0, 0.0, -2.0, 0.0]})
    border = charts_heat._border(cells.with_columns(net=pl.lit("plain")), math.log10(charts_heat.FROZEN))
    segments = set(border.select("left", "right", "bottom", "top").iter_rows())
    assert segments == {(1.0, 1.0, 0.5, 1.5), (1.0, 2.0, 1.5, 1.5)}


def test_branches_at_the_first_and_the_last_step_of_all_depths(toy):
    drawn = charts_branches.branches(toy)
    assert set(drawn.data["step"]) == {0, 5}
    assert set(drawn.data["depth"]) == {20, 56}
    at = drawn.data.filter(shortcut="none", depth=56, step=0).sort("place")
    assert at["value"].to_list() == pytest.approx([1, 1 / 2, 1 / 3])


def test_without_readings_a_sentence_says_how_to_get_them(tmp_path):
    bare = answer(write(tmp_path, {("none", d): [0.1] for d in (20, 56)}), "toy")
    panels = {panel.key: panel for panel in PANELS}
    for key in KEYS:
        assert panels[key].draw(bare) is None
        assert "probes=" in panels[key].absent


def test_every_panel_becomes_a_picture(toy, tmp_path):
    drawn = [(panel, panel.draw(toy)) for panel in PANELS if panel.key in KEYS]
    files = write_figures(drawn, tmp_path / "figures", experiment="toy")
    assert {file.name for file in files} == {f"{key}{suffix}" for key in KEYS for suffix in (".svg", ".png")}


def test_log_labels_thin_out_over_many_decades():
    assert style.powers([0.1, 20.0]).values[:3] == pytest.approx([0.1, 0.3, 1.0])
    assert len(style.powers([1e-9, 1e9]).values) <= 9
