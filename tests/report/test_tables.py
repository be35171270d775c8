"""Tables for people: every format says the same, and nothing in them is markup."""

import polars as pl
import pytest

from report.synthetic import Grid, write_records
from reslab.analysis.answer import answer
from reslab.report import evidence
from reslab.report.markup import html_table, latex, markdown, numeric
from reslab.report.write import TABLES, draw, write_tables

TABLE = pl.DataFrame({"name": ["a|b", "<i>_x_</i>", None], "share %": ["1.5 ± 0.2", "-3", ""], "n": [1, 2, 3]})


def test_markdown_keeps_its_columns():
    lines = markdown(TABLE).splitlines()
    assert lines[1] == "| --- | --: | --: |"
    assert lines[2] == "| a\\|b | 1.5 ± 0.2 | 1 |"
    assert lines[3] == "| &lt;i&gt;\\_x\\_&lt;/i&gt; | -3 | 2 |"
    assert lines[4] == "|  |  | 3 |"


def test_latex_escapes_what_it_would_obey():
    text = latex(pl.DataFrame({"50 %": ["a_b & c#d {e} \\f $g ~ ^"], "n": [1]}))
    assert text.splitlines()[0] == r"\begin{tabular}{lr}"
    assert r"50 \% & n \\" in text
    assert r"a\_b \& c\#d \{e\} \textbackslash{}f \$g \textasciitilde{} \textasciicircum{} & 1 \\" in text


def test_html_links_lead_where_they_should():
    table = pl.DataFrame({"folder": ["/out/runs/cell/seed=0"], "x": ["<b>"]})
    text = html_table(table, link="folder", target=lambda run: f"to{run}")
    assert '<a href="to/out/runs/cell/seed=0">cell/seed=0</a>' in text
    assert "&lt;b&gt;" in text


@pytest.mark.parametrize(
    ("values", "is_number"),
    [(["1,000", "2"], True), (["1e-5"], True), (["[0.1, 2.0]", "not defined"], True), (["d8"], False), ([""], True)],
)
def test_numbers_stand_to_the_right(values, is_number):
    assert numeric(pl.DataFrame({"x": values}), "x") is is_number


@pytest.fixture
def answered(tmp_path):
    grid = Grid(fates=(("none", 8, 0, None), ("none", 20, 1, "failed"), ("identity", 56, 2, "diverged")))
    return answer(write_records(tmp_path / "outputs", grid=grid), "toy")


def test_every_table_is_written_three_times_and_stale_ones_go(answered, tmp_path):
    stale = tmp_path / "published.csv"
    stale.write_text("of another day")
    files = write_tables(answered, draw(answered), tmp_path)
    assert not stale.exists()
    for name in TABLES:
        table = getattr(answered, name)
        assert (tmp_path / f"{name}.csv" in files) is not table.is_empty()
        if not table.is_empty():
            assert len(pl.read_csv(tmp_path / f"{name}.csv")) == len(table)
        if not table.is_empty() and name != "runs":
            assert len((tmp_path / f"{name}.md").read_text().splitlines()) == len(table) + 2
            assert (tmp_path / f"{name}.tex").read_text().count(" \\\\\n") == len(table) + 1


def test_what_is_missing_is_named_with_its_command(answered):
    rows = {(row["shortcut"], row["depth"], row["seed"]): row for row in evidence.absent(answered).to_dicts()}
    assert set(rows) == {("none", 8, 0), ("none", 20, 1), ("identity", 56, 2)}
    assert rows["none", 8, 0]["found"] == "new"
    assert rows["none", 8, 0]["command"].startswith("reslab train shortcut=none depth=8 seed=0 outputs=")
    assert rows["none", 20, 1]["command"].startswith("reslab train shortcut=none depth=20 seed=1")
    assert rows["identity", 56, 2]["command"] == ""  # a result, done
    assert evidence.coverage(answered) == "17 of 18 runs, 1 diverged, 1 failed"
    assert not evidence.complete(answered)


def test_origins_count_every_ended_run_once(answered):
    made = evidence.origins(answered)
    assert made["runs"].sum() == 17
    assert made["command"].to_list() == ["reslab train experiment=toy"]
    assert made["shortcuts"].to_list() == ["plain, identity"]
    assert "1 threads" in made["hardware"][0]
