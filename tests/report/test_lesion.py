"""P8 from studies whose medians are known; runs without a study, and files that are none."""

import polars as pl
import pytest

from analysis.records import write
from reslab.analysis.answer import answer
from reslab.analysis.studies import studied
from reslab.report import charts_lesion
from reslab.report.figures import write_figures
from reslab.report.panels import PANELS
from reslab.runs.folder import RunFolder
from reslab.runs.studies import read_study, schema, study_file, write_study

CELLS = {(s, d): [0.1, 0.2] for s in ("none", "identity") for d in (20, 56)}


def study(outputs, shortcut, depth, seed):
    """Residual nets lose a point a unit, plain ones everything at once; retaken statistics halve what is lost."""
    rows = []
    for way, factor in (("raw", 1.0), ("retaken", 0.5)):
        lost = (lambda k: 0.9 * (k > 0)) if shortcut == "none" else (lambda k: 0.01 * k)
        rows.append(("intact", way, None, None, 0, 0, 0, 1.0, 0.0, 300))
        rows += [("unit", way, f"trunk.0.{u}", u + 1, 1, 0, 0, 1.0, factor * lost(1), 300) for u in range(3)]
        rows += [("number", way, None, None, k, d, 0, 1.0, factor * lost(k), 300) for k in (1, 2) for d in range(4)]
        rows += [("order", way, None, None, 0, d, 1, 0.5, factor * lost(1), 300) for d in range(4)]
    table = pl.DataFrame(rows, schema=schema("lesion"), orient="row")
    return write_study(RunFolder(outputs / "runs" / f"{shortcut}{depth}" / f"seed={seed}"), "lesion", table)


@pytest.fixture
def outputs(tmp_path):
    return write(tmp_path, CELLS)


def test_deepest_nets_that_were_studied_with_their_medians(outputs):
    for key in [("none", 20, 0), ("none", 56, 0), ("none", 56, 1), ("identity", 20, 0)]:
        study(outputs, *key)
    answered = answer(outputs, "toy")
    found = studied(answered, "lesion", deepest=True)
    assert found.said == "plain 56: n = 2, seeds 0, 1; identity 20: n = 1, seed 0"
    drawn = charts_lesion.lesion(answered)
    two = drawn.data.filter(lesion="number", x=2).sort("shortcut", "statistics")
    assert two["median"].to_list() == pytest.approx([0.02, 0.01, 0.9, 0.45])
    assert two["n"].to_list() == [4, 4, 8, 8]
    assert drawn.data.filter(lesion="number", x=0)["median"].to_list() == [0.0] * 4
    assert drawn.shown["tau"].to_list() == ["0.50", "0.50"]
    assert "chance, 90 %" in drawn.caption


def test_it_becomes_a_picture(outputs, tmp_path):
    for shortcut in ("none", "identity"):
        study(outputs, shortcut, 56, 0)
    panel = next(panel for panel in PANELS if panel.key == "lesion")
    files = write_figures([(panel, panel.draw(answer(outputs, "toy")))], tmp_path / "figures", experiment="toy")
    assert {file.name for file in files} == {"lesion.svg", "lesion.png"}


def test_without_studies_there_is_no_panel(outputs):
    assert charts_lesion.lesion(answer(outputs, "toy")) is None
    assert read_study(RunFolder(outputs / "runs/none20/seed=0"), "lesion").is_empty()


def test_a_file_that_is_none_counts_as_absent(outputs):
    study(outputs, "none", 56, 0)
    folder = RunFolder(outputs / "runs/none56/seed=1")
    (folder.path / "probes").mkdir()
    study_file(folder, "lesion").write_text("no table")
    with pytest.raises(ValueError, match="cannot be read"):
        read_study(folder, "lesion")
    assert set(studied(answer(outputs, "toy"), "lesion", deepest=True).rows["seed"]) == {0}
