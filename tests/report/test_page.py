"""What the page says where there is little or nothing to say, and what it never lets out of its script elements."""

import json
import re
from dataclasses import replace

import polars as pl
import pytest

from report.synthetic import HTML, Grid, extended, write_records
from reslab.analysis.answer import answer
from reslab.report.pack import columns, script_json
from reslab.report.page import page
from reslab.report.panels import PANELS
from reslab.report.write import draw

ALL = [(shortcut, depth, seed) for shortcut in ("none", "identity") for depth in (8, 20, 56) for seed in range(3)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder in which the library is made once."""
    return tmp_path_factory.mktemp("outputs")


def text_of(outputs, kept, *, every=None, change=lambda answered: answered):
    answered = change(answer(outputs, "toy"))
    drawn = draw(answered)
    html = page(answered, drawn, folder=outputs / "reports" / "toy", outputs=kept, every=every)
    return html, {panel.key: made for panel, made in drawn}


def absent(key):
    return next(panel.absent for panel in PANELS if panel.key == key)


def test_without_an_ended_run_sentences_stand_for_charts(tmp_path, kept):
    outputs = write_records(tmp_path / "outputs", grid=Grid(fates=tuple((*run, None) for run in ALL)))
    html, drawings = text_of(outputs, kept)
    assert not [key for key, made in drawings.items() if made is not None and made.chart is not None]
    assert "0 of 18 runs" in html
    for key in ("depth", "gaps", "rescues", "curves"):
        assert absent(key) in html
    assert "reslab train experiment=toy" in html
    assert "vegaEmbed=" not in html  # no library where nothing is drawn
    assert drawings["missing"].data["command"].to_list() == [
        f"reslab train shortcut={s} depth={d} seed={n} outputs={outputs}" for s, d, n in ALL
    ]


def test_one_seed_has_numbers_and_no_interval(tmp_path, kept):
    html, drawings = text_of(write_records(tmp_path / "outputs", grid=Grid(seeds=1)), kept)
    assert drawings["gaps"].data["lower_points"].is_null().all()
    assert drawings["gaps"].data["upper_points"].is_null().all()
    assert "n = 1 seed." in drawings["gaps"].caption
    assert set(drawings["gaps"].data["verdict"]) == {"undecided"}
    assert "undecided" in html


def test_one_depth_has_no_gap(tmp_path, kept):
    html, drawings = text_of(write_records(tmp_path / "outputs", grid=Grid(depths=(20,))), kept)
    assert drawings["depth"] is not None
    assert drawings["gaps"] is None
    assert absent("gaps") in html
    assert "not measured" in html


@pytest.mark.parametrize("fate", ["diverged", "failed", "at_chance"])
def test_only_failures_stand_at_chance(tmp_path, kept, fate):
    outputs = write_records(tmp_path / "outputs", grid=Grid(fates=tuple((*run, fate) for run in ALL)))
    html, drawings = text_of(outputs, kept)
    marks = drawings["depth"].data.filter(part="failed")
    assert len(marks) == len(ALL)
    assert set(marks["value"]) == {90.0}
    assert "Cross: a diverged, failed or at-chance run, counted as chance" in html
    assert len(drawings["missing"].data) == len(ALL)
    assert f"18 of 18 runs, 18 {fate.replace('_', ' ')}" in html


def test_what_was_never_asked_is_not_drawn(tmp_path, kept):
    """No budget axis, no rates, no published values: no panel, no heading."""
    html, drawings = text_of(write_records(tmp_path / "outputs"), kept)
    for key in ("budget", "rates", "published", "missing"):
        assert drawings[key] is None
        assert f'id="{key}"' not in html


def test_other_budgets_are_drawn_apart(tmp_path, kept):
    _, drawings = text_of(write_records(tmp_path / "outputs", grid=Grid(steps=(230, 920))), kept)
    assert set(drawings["budget"].data["steps"]) == {230, 920}
    assert drawings["depth"].data["context"].n_unique() == 1


def test_curves_are_of_the_ends_of_each_shortcut(tmp_path, kept):
    """Where shortcuts have other depths, the legend names the role and not a depth that only some have."""
    fates = tuple(("identity", 56, seed, None) for seed in range(3))
    outputs = write_records(tmp_path / "outputs", grid=Grid(fates=fates))
    assert {"shallowest: 8 layers", "deepest: 56 layers"} <= roles(text_of(write_records(tmp_path / "all"), kept)[1])
    plan = outputs / "experiments" / "toy" / "plan.jsonl"
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    kept_lines = [entry for entry in lines if (entry["shortcut"], entry["depth"]) != ("identity", 56)]
    plan.write_text("".join(json.dumps(entry) + "\n" for entry in kept_lines))
    assert roles(text_of(outputs, kept)[1]) == {"shallowest", "deepest"}


def roles(drawings):
    sets = drawings["curves"].chart.to_dict()["datasets"].values()
    return {row["role"] for rows in sets for row in rows if row.get("role")}


def test_the_answer_is_said_and_not_computed(tmp_path, kept):
    """Whatever words the analysis chose, the page repeats them."""
    outputs = write_records(tmp_path / "outputs")

    def other(answered):
        gaps = answered.gaps.with_columns(verdict=pl.lit("as the oracle said"), gap_points=pl.lit(12.345))
        badge = replace(answered.badges[0], word="a word", where="somewhere <", lines=("a line & its number",))
        return replace(answered, gaps=gaps, badges=(badge,), notes=("a note < of mine",))

    html, drawings = text_of(outputs, kept, change=other)
    assert "as the oracle said" in json.dumps(drawings["gaps"].chart.to_dict())
    assert set(drawings["gaps"].data["gap_points"]) == {12.345}
    for said in ("a word", "somewhere &lt;", "a line &amp; its number", "a note &lt; of mine"):
        assert said in html


def test_nothing_leaves_its_element(tmp_path, kept):
    grid = Grid(("none", HTML), question=HTML, fates=(("none", 8, 0, "failed"),))
    html, _ = text_of(write_records(tmp_path / "outputs", grid=grid), kept, change=extended)
    assert HTML not in html
    assert html.count("<script") == html.count("</script>") == 5
    assert "&lt;/script&gt;&lt;script&gt;window.pwned=1" in html


def test_the_page_loads_nothing(tmp_path, kept):
    html, _ = text_of(write_records(tmp_path / "outputs"), kept)
    assert "default-src 'none'" in html
    html = re.sub(r"(<script[^>]*>).*?</script>", r"\1", html, flags=re.S)
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=", html)
    links = re.findall(r'<a href="([^"]*)"', html)
    assert links
    assert all(link.startswith("../") for link in links)
    assert 'http-equiv="refresh"' not in html


def test_a_watched_page_says_so(tmp_path, kept):
    grid = Grid(fates=(("none", 8, 0, None), ("none", 8, 1, "diverged")))
    html, _ = text_of(write_records(tmp_path / "outputs", grid=grid), kept, every=7)
    assert '<meta http-equiv="refresh" content="7">' in html
    assert "17 of 18 runs, 1 diverged" in html


def test_the_same_records_make_the_same_page(tmp_path, kept):
    outputs = write_records(tmp_path / "outputs", grid=Grid(steps=(230, 920)))
    assert text_of(outputs, kept)[0] == text_of(outputs, kept)[0]


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&amp;", "\u2028", "ключ", HTML])
def test_json_in_a_script_is_read_back_and_ends_nothing(text):
    packed = script_json({text: [text, 1.5, None]})
    assert not set("<>&\u2028") & set(packed)
    assert json.loads(packed) == {text: [text, 1.5, None]}


def test_packed_columns_are_the_table():
    table = pl.DataFrame({"word": ["a", "b", None] * 8, "x": [1.0, float("nan"), float("inf")] * 8, "n": range(24)})
    unpacked = {}
    for name, values, *levels in columns(table):
        unpacked[name] = [levels[0][v] if levels and v is not None else v for v in values]
    assert unpacked["word"] == table["word"].to_list()
    assert unpacked["x"] == [1.0, None, None] * 8
    assert unpacked["n"] == list(range(24))
    assert len(columns(table)[0]) == 3  # few levels are said once


def test_panels_are_one_list():
    keys = [panel.key for panel in PANELS]
    assert len(set(keys)) == len(keys)
    assert {panel.section for panel in PANELS} == {"verdict", "depth", "curves", "instrument", "cells"}
    tracked = [panel for panel in PANELS if panel.tracked is not None]
    assert {panel.section for panel in tracked} == {"verdict", "depth", "curves", "instrument", "cells"}
