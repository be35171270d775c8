"""The WHY as it is drawn and written: every intervention beside its shallow net, open ends open, rules on the page."""

import json
import re

import polars as pl
import pytest

from analysis.records import write
from report.synthetic import HTML, extended, write_records
from reslab.analysis.answer import answer
from reslab.report.charts_causes import causes
from reslab.report.figures import write_figures
from reslab.report.notebook import notebook
from reslab.report.pack import whole
from reslab.report.panels import PANELS
from reslab.report.tables_causes import cause_table, evidence, in_percent
from reslab.report.write import draw, write_tables

DEEP = [0.70, 0.72, 0.71, 0.69, 0.73]
FLAT = [0.010, 0.012, 0.011, 0.013, 0.009]


@pytest.fixture
def answered(tmp_path):
    return extended(answer(write_records(tmp_path / "outputs"), "toy"))


@pytest.fixture
def real(tmp_path):
    """Two interventions, one of which was never run on the shallow net."""
    study = {"looks": [5], "shortcuts": ["none"], "depths": [20, 56]}
    write(tmp_path, {("none", 20): FLAT, ("none", 56): DEEP}, study=study, intervention="none")
    write(tmp_path, {("none", 20): FLAT, ("none", 56): DEEP[::-1]}, intervention="leaky")
    write(tmp_path, {("none", 56): FLAT}, intervention="constructed")
    return answer(tmp_path, "toy")


def parts(drawing):
    """Rows of the two pictures, left and right."""
    spec = drawing.chart.to_dict()
    sets = {name: rows for name, rows in spec["datasets"].items() if rows and "label" in rows[0]}
    assert len(spec["hconcat"]) == len(sets) == 2
    return sorted(sets.values(), key=lambda rows: "removes" not in rows[0]["label"])


def test_every_intervention_stands_in_both_pictures(answered):
    left, right = parts(causes(answered))
    assert len(left) == len(right) == len(answered.causes)
    assert [row["row"] for row in left] == [row["row"] for row in right]
    assert all("(n = 5" in row["label"] for row in left + right)
    assert all("1 failed" in row["label"] for row in left)


def test_the_shares_drawn_are_those_of_the_table(answered):
    left, right = parts(causes(answered))
    for row, drawn, beside in zip(answered.causes.iter_rows(named=True), left, right, strict=True):
        share = row["share"]
        assert drawn["value"] == (None if share is None else pytest.approx(100 * share))
        assert beside["value"] == row["shallow_points"]
        if share is None:
            assert drawn["none"]
            assert "no share" in drawn["label"]


def test_an_open_share_has_an_arrow_and_no_bound(answered):
    row = next(row for row in parts(causes(answered))[0] if row["intervention"] == "leaky")
    assert (row["open"], row["end"]) == ("high", row["value"])
    assert row["interval"] == "[+10.00, open]"
    shown = cause_table(in_percent(answered.causes)).filter(intervention="leaky")
    assert shown["share removed, % [interval that decides]"][0] == "30 [10, open]"


def test_a_share_that_cannot_be_given_is_none_with_its_reason(answered):
    shown = cause_table(in_percent(answered.causes)).filter(intervention=HTML)
    assert set(shown["share removed, % [interval that decides]"]) == {"none"}
    assert set(shown["why no share"]) == {"not established"}
    assert set(shown["failed with / without / shallow"]) == {"1 / 0 / 0"}


def test_the_matrix_is_hypotheses_by_depth(answered):
    made = evidence(answered)
    assert made.shown.columns == ["hypothesis", "depth 20", "depth 56", "how to read it"]
    assert made.shown["depth 56"].to_list() == ["supports (norm_projection: removes, 80 %)", "not tested here"]
    assert "Rule, the same for every experiment" in made.caption
    assert "n = 5 seeds" in made.caption


def test_real_records_reach_the_page(real, tmp_path):
    drawn = {panel.key: made for panel, made in draw(real)}
    assert drawn["evidence"].shown["hypothesis"].len() == 10
    _, right = parts(drawn["causes"])
    missing = next(row for row in right if row["intervention"] == "constructed")
    assert missing["value"] is None
    assert "not run" in missing["label"]
    files = {file.name for file in write_tables(real, draw(real), tmp_path / "tables")}
    assert {"causes.csv", "causes.md", "evidence.csv", "evidence.tex"} <= files
    read = pl.read_csv(tmp_path / "tables" / "causes.csv")
    assert read["share"].to_list() == pytest.approx(real.causes["share"].to_list())


def test_the_notebook_says_why(real):
    text = notebook(real, draw(real))
    assert re.search(r"\*\*WHY: undecided\*\*", text)
    assert "figures/causes.png" in text
    assert "H9: the solver cannot bring layers to the identity" in text
    assert "against: H6, H9" in text


def test_it_is_drawn_without_a_page(real, tmp_path):
    drawn = [(panel, made) for panel, made in draw(real) if panel.key == "causes"]
    files = write_figures(drawn, tmp_path, experiment="toy")
    svg = files[0].read_text()
    assert "constructed, depth 56" in svg
    assert "removes (n = 5)" in svg
    widths = [part["width"] for part in whole(drawn[0][1].chart, width=620)["hconcat"]]
    assert widths == [297, 297]


def test_without_interventions_nothing_is_drawn(tmp_path):
    found = answer(write_records(tmp_path / "outputs"), "toy")
    assert causes(found) is None
    assert evidence(found) is None
    assert {"causes", "evidence"} <= {panel.key for panel in PANELS}
    assert "causes" not in json.dumps([panel.key for panel, made in draw(found) if made is not None])
