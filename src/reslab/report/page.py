"""One HTML file that opens from disk: the question, three badges, every panel, and one copy of Vega for all charts."""

import html
import os
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from reslab.analysis.answer import Answer, Badge
from reslab.analysis.wording import net
from reslab.report.drawing import Drawing
from reslab.report.evidence import coverage, following
from reslab.report.markup import html_table, short
from reslab.report.names import LONG_NOTE, order
from reslab.report.panels import Panel

MANY = 5000  # rows, from which on a canvas draws faster than svg
# nothing is fetched, from anywhere: all that the page needs is in it
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)

Drawn = Sequence[tuple[Panel, Drawing | None]]


def page(answered: Answer, drawn: Drawn, *, folder: Path, outputs: Path, every: int | None = None) -> str:
    """The page that will lie in `folder`; with `every` it loads itself again after so many seconds."""
    body = "\n".join([_head(answered, outputs, every), *(_panel(panel, made, folder) for panel, made in drawn)])
    watch = f'<meta http-equiv="refresh" content="{every}">' if every else ""
    return (
        f'<!doctype html>\n<html lang="en"{" data-watch=1" if every else ""}>\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n{watch}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(answered.experiment)} · reslab</title>\n<style>{_asset('page.css')}</style>\n</head>\n"
        f"<body>\n{_badges(answered, body, folder)}\n{_scripts(drawn, outputs)}</body>\n</html>\n"
    )


def _badges(answered: Answer, body: str, folder: Path) -> str:
    badges = "".join(_badge(badge, _marks(answered), folder) for badge in answered.badges)
    return body.replace("<!--badges-->", f'<section class="badges">{badges}</section>', 1)


def _head(answered: Answer, outputs: Path, every: int | None) -> str:
    study = answered.study
    parts = [f"<h1>{html.escape(study.question or answered.experiment)}</h1>"]
    said = f"{html.escape(answered.experiment)} · {html.escape(coverage(answered))}"
    said += f" · this page renews itself every {every} s" if every else ""
    parts.append(f'<p class="soft">{said}</p>')
    if study.prediction:
        when = "Declared when runs had ended already" if study.ended else "Predicted before the runs"
        parts.append(f"<p>{when}: {html.escape(study.prediction)}</p>")
    parts.append("<!--badges-->")
    if following_now := following(answered, outputs):
        code = "<br>".join(f"<code>{html.escape(command)}</code>" for command in following_now.first)
        reason = following_now.reason[:1].upper() + following_now.reason[1:]
        parts.append(f'<p class="warn">{html.escape(reason)}:<br>{code}</p>')
    parts += [_note(note) for note in answered.notes]
    parts.append(
        "<noscript><p>The figures need JavaScript; as pictures they lie in the folder figures/.</p></noscript>"
    )
    return "\n".join(parts)


def _note(note: str) -> str:
    first, colon, rest = note.partition(": ")
    if len(note) <= LONG_NOTE or not colon:
        return f'<p class="warn">{html.escape(note)}</p>'
    return f'<details class="warn"><summary>{html.escape(first)}</summary>{html.escape(rest)}</details>'


def _marks(answered: Answer) -> dict[str, str]:
    """The sign of every net, coloured as in the figures."""
    from reslab.report.style import mark

    found = order(answered.runs["shortcut"].to_list())
    signs = {net(name): mark(name, found) for name in found}
    return {
        name: f'<span class="mark" style="color:{colour}" aria-hidden="true">{glyph}</span>'
        for name, (glyph, colour) in signs.items()
    }


def _line(line: str, marks: dict[str, str]) -> str:
    """One line of a badge, behind the sign of the net that it begins with."""
    named = [name for name in marks if line.startswith((f"{name} ", f"{name}:"))]
    return f"<li>{marks[max(named, key=len)] if named else ''}<span>{html.escape(line)}</span></li>"


def _badge(badge: Badge, marks: dict[str, str], folder: Path) -> str:
    links = "".join(f'<li><a href="{_link(run, folder)}">{html.escape(short(run))}</a></li>' for run in badge.runs)
    runs = f"<details><summary>{len(badge.runs)} runs behind it</summary><ul>{links}</ul></details>" if links else ""
    where = f'<p class="where">{html.escape(badge.where)}</p>' if badge.where else ""
    lines = "".join(_line(line, marks) for line in badge.lines)
    return (
        f'<div class="badge" id="badge-{html.escape(badge.name.lower())}"><p class="name">{html.escape(badge.name)}</p>'
        f'<p class="word">{html.escape(badge.word)}</p>{where}<ul class="lines">{lines}</ul>{runs}</div>'
    )


def _panel(panel: Panel, made: Drawing | None, folder: Path) -> str:
    heading = f'<h2 id="{panel.key}">{html.escape(panel.title)}</h2>'
    if made is None:
        return f"{heading}\n<p>{html.escape(panel.absent)}</p>" if panel.absent else ""
    caption = html.escape(made.caption)
    button = f'<button data-set="table-{panel.key}" data-name="{panel.key}">data as CSV</button>'
    caption = f"<figcaption>{caption} {button}</figcaption>"
    shown = made.data if made.shown is None and made.chart is None else made.shown
    table = "" if shown is None else html_table(shown, link=made.link, target=lambda run: _link(run, folder))
    if made.chart is None:
        return f'{heading}\n<figure class="table">{table}{caption}</figure>'
    chart = f'<div class="chart" id="chart-{panel.key}" role="img" aria-label="{html.escape(panel.title)}"></div>'
    reading = f'<p class="soft">{html.escape(made.reading)}</p>' if made.reading else ""
    below = f'\n{reading}<figure class="table" id="read-{panel.key}">{table}</figure>' if table else ""
    return f"{heading}\n<figure>{chart}{caption}</figure>{below}"


def _link(run: str, folder: Path) -> str:
    return quote(os.path.relpath(run, folder)) + "/"


def _scripts(drawn: Drawn, outputs: Path) -> str:
    from reslab.report.pack import columns, script_json, take_apart
    from reslab.report.style import THEMES

    sets, charts = {}, {}
    for panel, made in drawn:
        if made is None:
            continue
        sets[f"table-{panel.key}"] = columns(made.data)
        if made.chart is not None:
            spec, own = take_apart(made.chart)
            sets.update(own)
            rows = max((len(found[0][1]) for found in own.values() if found), default=0)
            renderer = "canvas" if rows > MANY else "svg"
            charts[f"chart-{panel.key}"] = {"spec": spec, "sets": sorted(own), "renderer": renderer}
    data = {"themes": THEMES, "sets": sets, "charts": charts}
    parts = [
        f'<script type="application/json" id="{name}">{script_json(value)}</script>' for name, value in data.items()
    ]
    if charts:  # its names would be globals, and clash with ours
        parts.append(f"<script>(() => {{{vega(outputs / 'cache')}\n}})()</script>")
    parts.append(f"<script>(() => {{\n{_asset('page.js')}}})()</script>\n")
    return "\n".join(parts)


def vega(kept: Path) -> str:
    """One copy of vega, vega-lite and vega-embed as a classic script; takes seconds to make, so it is kept there."""
    import altair as alt

    which = version(alt.SCHEMA_VERSION)
    file = kept / f"vega-{which}-{metadata.version('vl-convert-python')}.js"
    if not file.exists():
        replace(file, _bundle(which))
    return file.read_text()


@lru_cache(maxsize=1)
def _bundle(which: str) -> str:
    import vl_convert

    library: str = vl_convert.javascript_bundle(vl_version=which)  # type: ignore[call-arg]  # not in its stubs
    low = library.lower()
    assert "</script" not in low, "the library would end its own script element"
    assert "<!--" not in low, "the library would open a comment"
    return library


def version(schema: str) -> str:
    """Major and minor of a Vega-Lite schema version such as v6.4.1, as vl-convert wants them."""
    return ".".join(schema.removeprefix("v").split(".")[:2])


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def replace(path: Path, text: str) -> None:
    """Write whole or not at all: a browser may be reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
