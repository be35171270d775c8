"""The text of a notebook entry, generated from the records: question, prediction, protocol, result, verdict."""

import html
import re
import shlex
from collections.abc import Sequence

import polars as pl

from reslab.analysis.answer import Answer
from reslab.report.drawing import Drawing
from reslab.report.evidence import coverage, origins
from reslab.report.markup import markdown
from reslab.report.names import arm, order
from reslab.report.panels import Panel
from reslab.report.tables import differences

SETTINGS = (
    "data",
    "recipe",
    "steps",
    "lr",
    "batch",
    "precision",
    "block",
    "order",
    "norm",
    "net",
    "width",
    "intervention",
)
LOCAL = ("folder", "command")  # columns that name places of one machine


def notebook(answered: Answer, drawn: Sequence[tuple[Panel, Drawing | None]]) -> str:
    """README.md of experiments/NAME/."""
    study = answered.study
    parts = [
        f"# {answered.experiment}",
        "Written by `reslab report publish=true` from the records of the runs; edit the experiment, not this file.",
        f"## Question\n\n{_text(study.question) or 'None was declared.'}",
        f"## Prediction\n\n{_text(study.prediction) or 'None was declared before the runs.'}",
        f"## Protocol\n\n{_protocol(answered)}",
        f"## Result\n\n{_result(drawn)}",
        f"## Verdict\n\n{_verdict(answered)}",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _protocol(answered: Answer) -> str:
    runs, study = answered.runs, answered.study
    seeds = runs.group_by("cell").agg(n=pl.col("seed").n_unique())["n"]
    few, many = min(seeds), max(seeds)
    varied = {axis: _values(runs[axis]) for axis in SETTINGS}
    made = origins(answered)
    commands = "\n".join(dict.fromkeys(_portable(command) for command in made["command"]))
    family = f"shortcuts {', '.join(study.shortcuts) or 'as planned'}, depths {_listed(study.depths) or 'as planned'}"
    lines = [
        f"- Grid: shortcuts {', '.join(map(arm, order(runs['shortcut'])))}; depths {_values(runs['depth'])}; "
        f"{few if few == many else f'{few} to {many}'} seeds per cell ({_values(runs['seed'])}); {coverage(answered)}.",
        f"- Settings: {'; '.join(f'{axis} {value}' for axis, value in varied.items())}.",
        f"- Estimand: clean training error, in eval mode and without augmentation, on every training image "
        f"({_values(runs['images'].drop_nulls())} images). Margin that matters: {study.delta:g} points.",
        f"- Looks at n = {_listed(study.looks)} seeds; Holm family: {family}.",
    ]
    if study.tuning_seeds:
        lines.append(f"- Seeds {_listed(study.tuning_seeds)} chose the learning rate and are in no comparison.")
    shown = made.with_columns(command=pl.col("command").map_elements(_portable, return_dtype=pl.String))
    return "\n".join([*lines, "", "```bash", commands, "```", "", markdown(shown)])


def _result(drawn: Sequence[tuple[Panel, Drawing | None]]) -> str:
    parts = []
    for panel, made in drawn:
        if made is None or panel.key == "commands":  # those are in the protocol
            continue
        if made.chart is not None:
            shown = f"![{panel.title}](figures/{panel.key}.png)"
            if panel.key in ("gaps", "rescues"):
                shown += f"\n\n{markdown(differences(made.data))}"
        else:
            table = made.data if made.shown is None else made.shown
            shown = markdown(table.drop(LOCAL, strict=False))
        parts.append(f"### {panel.title}\n\n{shown}\n\n{_text(made.caption)}")
    return "\n\n".join(parts)


def _verdict(answered: Answer) -> str:
    lines = [f"- **{badge.name}: {_text(badge.word)}.** {_text(badge.sentence)}." for badge in answered.badges]
    for name in ("gaps", "rescues", "contrasts", "rates"):
        table = getattr(answered, name)
        if not table.is_empty():
            lines += ["", f"{name.capitalize()}:", "", *(f"- {_text(sentence)}" for sentence in table["sentence"])]
    if answered.notes:
        lines += ["", "What a reader must know:", "", *(f"- {_text(note)}" for note in answered.notes)]
    return "\n".join(lines)


def _values(column: pl.Series) -> str:
    return _listed(sorted(set(column)))


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _portable(command: str) -> str:
    """The command without what names a folder of one machine."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    return shlex.join(word for word in words if not re.match(r"(outputs|data\.root)=/", word))


def _text(words: str) -> str:
    """Plain text in Markdown: no markup, no HTML."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", html.escape(words, quote=False))
