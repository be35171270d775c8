"""The text of a notebook entry, generated from the records: question, prediction, verdict, protocol, result."""

import html
import re
import shlex
from collections.abc import Sequence

import polars as pl

from reslab.analysis.answer import Answer
from reslab.analysis.wording import net
from reslab.report.drawing import Drawing
from reslab.report.evidence import alike, coverage, origins
from reslab.report.markup import markdown
from reslab.report.names import order, ranks, sorted_rows
from reslab.report.panels import Panel
from reslab.report.recipe import training
from reslab.report.tables_differences import verdict_table

SETTINGS: tuple[str, ...] = ("data", "recipe", "steps", "lr", "batch", "precision")
SETTINGS += ("block", "order", "norm", "net", "width", "intervention")
LOCAL = ("folder", "command")  # columns that name places of one machine


def notebook(answered: Answer, drawn: Sequence[tuple[Panel, Drawing | None]]) -> str:
    """README.md of experiments/NAME/."""
    study = answered.study
    parts = [
        f"# {answered.experiment}",
        "Written by `reslab report publish=true` from the records of the runs; edit the experiment, not this file.",
        f"## Question\n\n{_text(study.question) or 'None was declared.'}",
        f"## Prediction\n\n{_text(study.prediction) or 'None was declared before the runs.'}",
        f"## Verdict\n\n{_verdict(answered)}",
        f"## Protocol\n\n{_protocol(answered)}",
        f"## Result\n\n{_result(drawn)}",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _verdict(answered: Answer) -> str:
    """The badges, the gaps of the main context as one table, and what a reader must know."""
    parts = []
    for badge in answered.badges:
        where = f" ({_text(badge.where)})" if badge.where else ""
        lines = "\n".join(f"- {_text(line)}" for line in badge.lines)
        parts.append(f"**{badge.name}: {_text(badge.word)}**{where}\n\n{lines}")
    main = sorted_rows(answered.gaps.filter("main"), ranks(answered))
    if not main.is_empty():
        parts.append(markdown(verdict_table(main)).strip())
    if answered.notes:
        parts.append("What a reader must know:\n\n" + "\n".join(f"- {_text(note)}" for note in answered.notes))
    return "\n\n".join(parts)


def _protocol(answered: Answer) -> str:
    runs, study = answered.runs, answered.study
    seeds = runs.group_by("cell").agg(n=pl.col("seed").n_unique())["n"]
    few, many = min(seeds), max(seeds)
    varied = [f"{axis} {_values(runs[axis])}" for axis in SETTINGS]
    family = (
        f"shortcuts {', '.join(map(net, study.shortcuts)) or 'as planned'}, "
        f"depths {_listed(study.depths) or 'as planned'}"
    )
    lines = [
        f"- Grid: shortcuts {', '.join(map(net, order(runs['shortcut'])))}; depths {_values(runs['depth'])}; "
        f"{few if few == many else f'{few} to {many}'} seeds per cell ({_values(runs['seed'])}); {coverage(answered)}.",
        f"- Settings: {'; '.join(varied)}.",
        *(f"- Training: {_text('; '.join(words))}." for words in [training(runs)] if words),
        f"- Estimand: clean training error, in eval mode and without augmentation, on every training image "
        f"({_values(runs['images'].drop_nulls())} images). Margin that matters: {study.delta:g} points.",
        f"- Looks at n = {_listed(study.looks)} seeds; Holm family: {family}.",
    ]
    if study.tuning_seeds:
        lines.append(f"- Seeds {_listed(study.tuning_seeds)} chose the learning rate and are in no comparison.")
    return "\n".join([*lines, *_origins(answered)])


def _origins(answered: Answer) -> list[str]:
    """Commands with their runs; commit, versions and hardware once, and a table only of what differs."""
    made = origins(answered).with_columns(pl.col("command").map_elements(portable, return_dtype=pl.String))
    if made.is_empty():
        return []
    common, rest = alike(made)
    lines = [f"- {name.capitalize()}: {_text(value)}." for name, value in common.items()]
    counted = made.group_by("command", maintain_order=True).agg(pl.col("runs").sum())
    commands = [f"{row['command']}  # {row['runs']:,} runs" for row in counted.iter_rows(named=True)]
    differing = [name for name in ("commit", "versions", "hardware") if name in rest.columns]
    table = ["", "These differ between runs:", "", markdown(rest)] if differing else []
    return [*lines, "", "```bash", *commands, "```", *table]


def _result(drawn: Sequence[tuple[Panel, Drawing | None]]) -> str:
    parts = []
    for panel, made in drawn:
        if made is None or panel.key == "commands":  # those are in the protocol
            continue
        words = [f"### {panel.title}"]
        if made.chart is not None:
            words += [f"![{panel.title}](figures/{panel.key}.png)", _text(made.caption)]
        shown = made.data if made.shown is None and made.chart is None else made.shown
        words += [markdown(shown.drop(LOCAL, strict=False)).strip()] if shown is not None else []
        words.append(_text(made.reading if made.chart is not None else made.caption))
        parts.append("\n\n".join(word for word in words if word))
    return "\n\n".join(parts)


def _values(column: pl.Series) -> str:
    return _listed([f"{value:,}" if isinstance(value, int) else value for value in sorted(set(column))])


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def portable(command: str) -> str:
    """The command without what names a folder of one machine."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    return shlex.join(word for word in words if not re.match(r"(outputs|data\.root)=/", word))


def _text(words: str) -> str:
    """Plain text in Markdown: no markup, no HTML."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", html.escape(words, quote=False))
