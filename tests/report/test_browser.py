"""Chromium opens the page from disk, with the network cut, and sees what the tables say."""

import csv
import io
import re
import shutil
from urllib.parse import unquote

import polars as pl
import pytest

from report.synthetic import HTML, Grid, extended, write_records
from reslab.analysis.answer import answer, curves
from reslab.report.panels import PANELS
from reslab.report.write import draw, write_page, write_tables

pytestmark = pytest.mark.real("Chromium opens the page from disk")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
DESKTOP, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
COUNT = """id => { const found = {}; const walk = mark => {
    if (mark.role === 'mark' && mark.marktype !== 'group')
      found[mark.marktype] = (found[mark.marktype] || 0) + mark.items.length;
    if (mark.marktype === 'group') mark.items.forEach(item => item.items.forEach(walk)); };
  walk(window.reslab.views[id].scenegraph().root); return found; }"""


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium; as root: make system")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four shortcuts, one named like an attack; two budgets; a run of each fate."""
    grid = Grid(
        ("none", "identity", "projection", HTML),
        steps=(230, 920),
        fates=(("none", 56, 0, "diverged"), ("none", 56, 1, "at_chance"), ("none", 20, 2, "failed")),
        question=f"is this text? {HTML}",
    )
    outputs = write_records(tmp_path_factory.mktemp("browser"), "toy", grid)
    answered = extended(answer(outputs, "toy"))
    drawn, folder = draw(answered), outputs / "reports" / "toy"
    write_page(answered, drawn, folder, outputs=outputs)
    write_tables(answered, drawn, folder / "tables")
    return answered, folder, dict((panel.key, drawing) for panel, drawing in drawn)


def opened(browser, file, *, viewport=DESKTOP, scheme="light"):
    """The page, drawn; with what it asked for and complained of."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(file.as_uri())
    page.locator("html[data-drawn='1']").wait_for(state="attached")
    return page


@pytest.fixture(scope="module")
def page(browser, made):
    shown = opened(browser, made[1] / "report.html")
    yield shown
    shown.context.close()


def test_nothing_is_asked_of_the_network_and_nothing_complains(page, made):
    assert page.asked == [(made[1] / "report.html").as_uri()]
    assert page.said == []
    assert page.evaluate("window.reslab.errors") == []


def test_every_panel_is_there(page, made):
    drawings = made[2]
    drawn = {key: drawing for key, drawing in drawings.items() if drawing is not None}
    # these records hold no readings of probes, and nothing was verified here
    probed = {"gradients", "geometry", "branches", "shattering", "rank", "dead"}
    studied = {"lesion", "depth_use", "slices", "curvature"}
    assert set(drawings) - set(drawn) == probed | studied | {"verified"}
    charts = {f"chart-{key}" for key, drawing in drawn.items() if drawing.chart is not None}
    assert set(page.evaluate("Object.keys(window.reslab.views)")) == charts
    headings = page.locator("h2").all_inner_texts()
    assert headings == [panel.title for panel in PANELS if panel.key in drawn or panel.absent is not None]
    assert page.locator("figcaption").count() == len(drawn)


def test_every_run_is_a_mark(page, made):
    """P1: a mark per run of the main budget, one per cell mean, a bar per interval."""
    answered = made[0]
    runs = answered.runs.filter("main").drop_nulls("counted_error")
    cells = answered.cells.filter("main").drop_nulls("train_error_mean")
    found = page.evaluate(COUNT, "chart-depth")
    assert found["symbol"] == len(runs) + len(cells)
    assert found["rule"] == len(cells.drop_nulls("lower_points")) + 1  # and the line at chance
    assert found["line"] == len(cells)


def test_every_difference_is_a_mark(page, made):
    answered = made[0]
    for key, table in (("gaps", answered.gaps), ("rescues", answered.rescues), ("rates", answered.rates)):
        found = page.evaluate(COUNT, f"chart-{key}")
        bounds = table.select(pl.col("lower_points", "upper_points").is_null())
        sides = bounds.select(pl.sum_horizontal(pl.all())).to_series().to_list()
        assert found["symbol"] == len(table) + sides.count(1), key  # and an arrow on an open side
        assert found["rect"] == 1, key  # the margin
        assert found["rule"] == sides.count(0) + 2 * sides.count(1) + 1, key  # nothing where there is no interval
    assert set(answered.budgets["steps"]) == {230, 920}
    assert page.evaluate(COUNT, "chart-budget")["symbol"] >= len(answered.budgets)


def test_every_curve_is_drawn(page, made):
    rows = curves(made[0]).filter(pl.col("step") > 0).drop_nulls("error")
    means = rows.select("shortcut", "depth", "step").n_unique()
    found = page.evaluate(COUNT, "chart-curves")
    assert found["symbol"] == means
    assert found["area"] == means
    assert found["line"] == len(rows) + means
    assert found["text"] == 4  # the rate falls once, said in each of four pictures
    assert found["rule"] == 8  # there, and at chance


def test_a_tooltip_names_the_run(page, made):
    place = page.locator("#chart-depth svg.marks g.mark-symbol.role-mark path").last
    place.scroll_into_view_if_needed()
    place.hover(force=True)
    shown = page.locator("#vg-tooltip-element.visible")
    shown.wait_for()
    assert re.search(r"depth\s*\n?\s*(8|20|56)", shown.inner_text())


def test_downloaded_numbers_are_those_of_the_tables(page, made):
    for key in ("gaps", "rescues"):
        with page.expect_download() as waiting:
            page.locator(f"button[data-name={key}]").click()
        assert waiting.value.suggested_filename == f"{key}.csv"
        given = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
        written = list(csv.DictReader(io.StringIO((made[1] / "tables" / f"{key}.csv").read_text())))
        name = f"{key.removesuffix('s')}_points"
        key_of = ("context", "shortcut", "depth")
        assert len(given) == len(written) > 0
        assert {tuple(row[k] for k in key_of): float(row[name]) for row in given} == {
            tuple(row[k] for k in key_of): float(row[name]) for row in written
        }


def test_numbers_on_the_page_are_those_of_the_tables(page, made):
    """Mean and spread of every cell, read from the table that a browser shows."""
    heads = page.locator("#cells + figure th").all_inner_texts()
    at = {name: heads.index(name) for name in ("steps", "net", "depth", "training error %, mean ± sd", "MACs")}
    cells = pl.read_csv(made[1] / "tables" / "cells.csv")
    lines = page.locator("#cells + figure tbody tr").all()
    assert len(lines) == len(cells)
    for line in lines:
        steps, shortcut, depth, error, macs = (line.locator("td").all_inner_texts()[place] for place in at.values())
        row = cells.filter(
            steps=int(steps), shortcut="none" if shortcut == "plain" else shortcut, depth=int(depth)
        ).row(0, named=True)
        mean, _, sd = error.partition(" ± ")
        assert mean == f"{100 * row['train_error_mean']:.2f}"
        assert sd == ("" if row["train_error_sd"] is None else f"{100 * row['train_error_sd']:.2f}")
        assert int(macs.replace(",", "")) == row["macs"]


def test_undecided_is_explained_below_the_gaps(page, made):
    """Gap, interval, verdict and what would settle it, one line per gap; the words in a sentence above."""
    heads = page.locator("#read-gaps th").all_inner_texts()
    lines = [
        dict(zip(heads, row.locator("td").all_inner_texts(), strict=True))
        for row in page.locator("#read-gaps tbody tr").all()
    ]
    gaps = made[0].gaps
    assert len(lines) == len(gaps)
    assert {line["what would settle it"] for line in lines} == set(gaps["needed"].fill_null(""))
    assert "Undecided: the interval crosses the margin" in page.locator("#gaps ~ p").first.inner_text()


def test_tables_are_not_cut_without_a_hint(page):
    """No height below 60 rows; what is wider than the page scrolls."""
    for place in page.locator(".wide").all():
        rows = place.locator("tbody tr").count()
        high, room = place.evaluate("place => [place.scrollHeight, place.clientHeight]")
        assert rows > 60 or high <= room + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]


def test_badges_lead_to_the_runs(page, made):
    answered, folder, _ = made
    for badge in answered.badges:
        card = page.locator(f"#badge-{badge.name.lower()}")
        assert card.locator(".word").text_content() == badge.word
        assert card.locator(".lines li span:last-child").all_text_contents() == list(badge.lines)
        links = [link.get_attribute("href") for link in card.locator("a").all()]
        assert len(links) == len(badge.runs)
        for link in links:
            assert (folder / unquote(link) / "result.json").exists()


def test_names_are_text(page):
    assert page.evaluate("window.pwned") is None
    assert HTML in page.locator("h1").inner_text()
    assert HTML in page.locator("#chart-gaps svg.marks").text_content()
    assert HTML in page.locator("#cells + figure").inner_text()
    assert page.locator("script").count() == 5  # three sets of data, Vega, ours


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_dark_and_light(browser, made, scheme, dark):
    shown = opened(browser, made[1] / "report.html", scheme=scheme)
    paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    label = shown.locator("#chart-depth svg.marks .role-axis-label text").first.get_attribute("fill")
    assert (brightness(paper) < 60) is dark
    assert (brightness(label) > 180) is dark
    assert shown.said == []
    shown.context.close()


def brightness(colour):
    """0 to 255, of #rrggbb or rgb(r, g, b)."""
    if colour.startswith("#"):
        return sum(bytes.fromhex(colour[1:])) / 3
    return sum(int(n) for n in re.findall(r"\d+", colour)[:3]) / 3


def test_a_changed_theme_draws_again(browser, made):
    shown = opened(browser, made[1] / "report.html")
    shown.emulate_media(color_scheme="dark")
    shown.locator("html[data-drawn='2']").wait_for(state="attached")
    assert brightness(shown.locator("#chart-gaps svg.marks .role-axis-label text").first.get_attribute("fill")) > 180
    assert shown.said == []
    shown.context.close()


def test_a_phone_never_scrolls_sideways(browser, made):
    shown = opened(browser, made[1] / "report.html", viewport=PHONE)
    assert shown.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for chart in shown.locator(".chart").all():
        wide, room = chart.evaluate("place => [place.scrollWidth, place.clientWidth]")
        assert wide <= room, chart.get_attribute("id")
    assert shown.said == []
    shown.context.close()


def test_a_watched_page_loads_itself_again_and_stays_where_it_was(browser, made):
    answered, folder, _ = made
    file = write_page(answered, draw(answered), folder / "watched", outputs=folder.parents[1], every=1)[0]
    shown = opened(browser, file)
    shown.evaluate("scrollTo(0, 700)")
    shown.wait_for_event("framenavigated", timeout=5000)
    shown.locator("html[data-drawn='1']").wait_for(state="attached")
    assert shown.evaluate("scrollY") == 700
    shown.context.close()
