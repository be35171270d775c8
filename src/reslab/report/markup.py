"""A table of strings as HTML, Markdown and LaTeX; every cell is text, whatever it holds."""

import html
import re
from collections.abc import Callable

import polars as pl

LONG = 36  # letters, from which on a column of text may be broken into lines
TALL = 60  # rows, from which on a table scrolls within the page
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
_LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_LATEX |= {"→": r"$\to$", "·": r"$\cdot$", "δ": r"$\delta$"}


def as_text(value: object) -> str:
    """A value of a table in words; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def markdown(table: pl.DataFrame) -> str:
    """A Markdown table, numbers to the right."""
    rows = [[_markdown_text(as_text(value)) for value in row] for row in table.iter_rows()]
    rule = ["--:" if numeric(table, name) else "---" for name in table.columns]
    lines = [[_markdown_text(name) for name in table.columns], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def latex(table: pl.DataFrame) -> str:
    """A tabular environment with booktabs rules, numbers to the right."""
    rows = [" & ".join(_latex_text(as_text(value)) for value in row) for row in table.iter_rows()]
    columns = "".join("r" if numeric(table, name) else "l" for name in table.columns)
    heading = " & ".join(_latex_text(name) for name in table.columns)
    body = "".join(f"{row} \\\\\n" for row in rows)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{heading} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def html_table(table: pl.DataFrame, *, link: str | None = None, target: Callable[[str], str] | None = None) -> str:
    """A table element; the cells of the column `link` name run folders and lead to what `target` makes of them."""
    aligned = [_shape(table, name) for name in table.columns]
    head = "".join(f"<th{a}>{html.escape(name)}</th>" for a, name in zip(aligned, table.columns, strict=True))
    rows = []
    for row in table.iter_rows():
        cells = []
        for name, shape, value in zip(table.columns, aligned, row, strict=True):
            text = html.escape(as_text(value))
            if name == link and target and text:
                text = f'<a href="{html.escape(target(str(value)))}">{html.escape(short(str(value)))}</a>'
            cells.append(f"<td{shape}>{text}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    tall = " tall" * (len(rows) > TALL)
    return f'<div class="wide{tall}"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _shape(table: pl.DataFrame, name: str) -> str:
    if numeric(table, name):
        return ' class="number"'
    return ' class="long"' if max(len(as_text(value)) for value in table[name]) > LONG else ""


def short(folder: str) -> str:
    """The last two parts of a run's folder, which name it."""
    return "/".join(folder.rstrip("/").split("/")[-2:])


_NUMBER = re.compile(r"[+-]?[\d,.]+(e[+-]?\d+)?( ± [\d.,e+-]+)?( \[.*\]| no interval)?|\[.*\]|not defined|")


def numeric(table: pl.DataFrame, name: str) -> bool:
    """Whether a column holds numbers, also as strings with their spread or interval."""
    return table[name].dtype.is_numeric() or all(_NUMBER.fullmatch(as_text(value)) for value in table[name])


def _markdown_text(text: str) -> str:
    shown = html.escape(text, quote=False).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return re.sub(r"([*_`\[\]])", r"\\\1", shown)


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
