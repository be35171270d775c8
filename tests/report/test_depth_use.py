"""P10 from probes whose errors are known; runs without them, and files that are none."""

import polars as pl
import pytest

from analysis.records import write
from reslab.analysis import depth_use
from reslab.analysis.answer import answer
from reslab.analysis.studies import studied
from reslab.report import charts_depth_use
from reslab.report.figures import write_figures
from reslab.report.panels import PANELS
from reslab.runs.folder import RunFolder
from reslab.runs.studies import schema, study_file, write_study

CELLS = {(s, d): [0.1, 0.2] for s in ("none", "identity") for d in (20, 56)}


def study(outputs, shortcut, depth, seed, errors, head=0.1):
    """Probes with these errors, first the stem's."""
    rows = [("stem" if at == 0 else f"trunk.0.{at - 1}", at, 16, 0.01, e, 900, 300) for at, e in enumerate(errors)]
    table = pl.DataFrame([*rows, ("head", None, None, None, head, 900, 300)], schema=schema("linear"), orient="row")
    return write_study(RunFolder(outputs / "runs" / f"{shortcut}{depth}" / f"seed={seed}"), "linear", table)


@pytest.fixture
def outputs(tmp_path):
    made = write(tmp_path, CELLS)
    for seed in (0, 1):
        study(made, "none", 56, seed, [0.2, 0.15, 0.3, 0.4, 0.5])  # the stem reads best
        study(made, "identity", 56, seed, [0.5, 0.3, 0.2, 0.105 + seed / 100, 0.1])
    study(made, "none", 20, 0, [0.5, 0.1, 0.1])
    return made


def test_the_useful_part_of_the_depth(outputs):
    rows = studied(answer(outputs, "toy"), "linear", deepest=False).rows
    found = depth_use.useful(rows, "shortcut", "depth", "seed").sort("shortcut", "depth", "seed")
    assert found["place"].to_list() == [3, 4, 1, 0, 0]  # 0.895 of 0.9 is enough, 0.885 is not
    assert found["units"].to_list() == [4, 4, 2, 4, 4]
    assert found["fraction"].to_list() == [0.75, 1.0, 0.5, 0.0, 0.0]
    assert found["layer"].to_list() == ["trunk.0.2", "trunk.0.3", "trunk.0.0", "stem", "stem"]
    assert found["best"].to_list() == [0.1, 0.1, 0.1, 0.15, 0.15]
    assert found["best_place"].to_list() == [4, 4, 1, 1, 1]
    assert set(found["head"]) == {0.1}


def test_exactly_the_share_is_enough():
    rows = pl.DataFrame({"place": [0, 1, None], "layer": ["stem", "trunk.0.0", "head"], "error": [0.01, 0.0, 0.5]})
    assert depth_use.useful(rows).row(0, named=True) == {
        **{"place": 0, "layer": "stem", "error": 0.01, "units": 1, "stem": 0.01, "best": 0.0, "best_place": 1},
        **{"last": 0.0, "fraction": 0.0, "head": 0.5},
    }


def test_lines_marks_and_the_table(outputs):
    drawn = charts_depth_use.use(answer(outputs, "toy"))
    line = drawn.data.filter(part="line", shortcut="identity")
    assert line["relative"].to_list() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert line["median"].to_list() == pytest.approx([0.5, 0.3, 0.2, 0.11, 0.1])
    assert line["n"].to_list() == [2] * 5
    marks = drawn.data.filter(part="useful", shortcut="identity").sort("seed")
    assert marks["relative"].to_list() == [0.75, 1.0]
    assert marks["median"].to_list() == pytest.approx([0.105, 0.1])
    assert drawn.shown["net"].to_list() == ["plain 20", "plain 56", "identity 56"]
    assert drawn.shown.row(2, named=True) == {
        **{"net": "identity 56", "useful depth fraction": "0.88 [0.81, 0.94]", "first such unit": "3.5 of 4"},
        **{"stem": "50.0 [50.0, 50.0]", "lowest": "10.0 [10.0, 10.0]", "last unit": "10.0 [10.0, 10.0]"},
        **{"the net": "10.0 [10.0, 10.0]", "n": "2"},
    }
    assert "plain 20: n = 1, seed 0; plain 56: n = 2, seeds 0, 1; identity 56: n = 2" in drawn.brief
    assert "900 training images" in drawn.brief
    assert "chance, 90 %" in drawn.caption


def test_it_becomes_a_picture(outputs, tmp_path):
    panel = next(panel for panel in PANELS if panel.key == "depth_use")
    files = write_figures([(panel, panel.draw(answer(outputs, "toy")))], tmp_path / "figures", experiment="toy")
    assert {file.name for file in files} == {"depth_use.svg", "depth_use.png"}


def test_without_probes_there_is_no_panel_and_a_file_that_is_none_counts_as_absent(tmp_path):
    bare = write(tmp_path, CELLS)
    assert charts_depth_use.use(answer(bare, "toy")) is None
    folder = RunFolder(bare / "runs/none56/seed=1")
    (folder.path / "probes").mkdir()
    study_file(folder, "linear").write_text("no table")
    assert charts_depth_use.use(answer(bare, "toy")) is None
