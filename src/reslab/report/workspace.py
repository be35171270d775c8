"""The panels as a W&B workspace: the same list as the page, drawn by W&B from the runs themselves."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from reslab.report.panels import Panel, Tracked
from reslab.runs.folder import read_json, write_json
from reslab.tracking.mirror import CONFIG_KEYS, digest, tag

SECTIONS = {"verdict": "Verdict", "depth": "Depth", "curves": "Curves", "instrument": "Instrument", "cells": "Cells"}
Saved = Literal["there", "made", "updated"]


def workspace(*, entity: str, project: str, experiment: str, panels: Sequence[Panel], figures: Sequence[str]) -> Any:
    """The workspace of an experiment, not saved; asks no server.

    `figures` names the panels of which the summary run holds a picture. The same arguments give the same workspace to
    the letter, ids and name included.
    """
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    made = ws.Workspace(
        entity=entity,
        project=project,
        name=f"reslab {experiment}",
        sections=[_section(key, title, experiment, panels, figures) for key, title in SECTIONS.items()],
        settings=ws.WorkspaceSettings(x_axis="step", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(expr.Tags().isin([tag(experiment)])),
            groupby=[expr.Config("cell")],
            order=[expr.Ordering(expr.Config(key)) for key in ("shortcut", "depth", "seed")],
            pinned_columns=_columns(panels),
        ),
    )
    made._internal_name = f"nw-{digest(entity, project, experiment)[:11]}-v"  # so that it is found again and replaced
    made._internal_runset_id = digest(experiment, "runset")
    return made


def as_json(made: Any) -> dict[str, Any]:
    """What W&B stores of a workspace."""
    return json.loads(made._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))


def save(made: Any, file: Path) -> tuple[Saved, str]:
    """Make W&B hold this workspace, once; what was done, and its address. `file` remembers what was saved.

    One that somebody rearranged at W&B is left as it is until our own panels change.
    """
    from wandb_workspaces.workspaces import internal

    spec = digest(as_json(made))
    kept, there = read_json(file) or {}, _find(made)
    same_place = [kept.get(key) for key in ("entity", "project")] == [made.entity, made.project]
    ours = kept.get("record") if same_place else there and digest(_stored(there))
    if there is None or ours != spec:
        made._internal_id = there["id"] if there else ""
        internal.upsert_view2(made._to_model())
    place = {"entity": made.entity, "project": made.project, "name": made._internal_name, "url": made.url}
    if {**place, "record": spec} != {key: kept.get(key) for key in (*place, "record")}:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {**place, "record": spec})
    return ("made" if there is None else "there" if ours == spec else "updated"), made.url


def _section(key: str, title: str, experiment: str, panels: Sequence[Panel], figures: Sequence[str]) -> Any:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    drawn = [
        _panel(panel.key, panel.title, panel.tracked) for panel in panels if panel.section == key and panel.tracked
    ]
    names = [panel.key for panel in panels if panel.section == key and panel.tracked]
    if key == "verdict" and figures:
        title_of_all = "Figures with intervals, from the summary run"
        drawn.append(
            wr.MediaBrowser(title=title_of_all, media_keys=[f"figures/{name}" for name in figures], num_columns=2)
        )
        names.append("figures")
    for panel, name in zip(drawn, names, strict=True):
        object.__setattr__(panel, "_id", digest(experiment, name))
    section = ws.Section(name=title, panels=drawn, is_open=True)
    section._id = digest(experiment, "section", key)
    return section


def _panel(key: str, title: str, tracked: Tracked) -> Any:
    import wandb_workspaces.reports.v2 as wr

    group = wr.Config(_flat(tracked.group)) if tracked.group is not None else None
    names: list[Any] = [_flat(name) for name in tracked.y]
    spread: Mapping[str, Any] = {"groupby": group, "groupby_aggfunc": "mean", "groupby_rangefunc": "stderr"}
    chosen = spread if group is not None else {}
    if tracked.kind == "line":
        return wr.LinePlot(title=title, x=_flat(tracked.x), y=names, max_runs_to_show=100, **chosen)
    if tracked.kind == "bar":
        return wr.BarPlot(title=title, metrics=names, orientation="v", max_bars_to_show=100, **chosen)
    if tracked.kind == "scatter":
        (name,) = names  # W&B's scatter has one y
        legend = "${run:displayName}" + (f" ${{config:{tracked.group}}}" if tracked.group else "")
        return wr.ScatterPlot(title=title, x=_axis(_flat(tracked.x)), y=_axis(name), legend_template=legend)
    return wr.WeavePanelSummaryTable(table_name=f"tables/{key}")


def _axis(name: str) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.Config(name) if name in CONFIG_KEYS else wr.SummaryMetric(name)


def _flat(name: str) -> str:
    """The same name; W&B's interface writes nested ones in several ways that do not meet."""
    if "." in name:
        raise ValueError(f"{name!r} is a nested key; panels take flat ones, such as {', '.join(CONFIG_KEYS)}")
    return name


def _columns(panels: Sequence[Panel]) -> list[str]:
    """What the list of runs shows beside their names: the settings, then all that the tables of the panels show."""
    shown = [name for panel in panels if panel.tracked and panel.tracked.kind == "table" for name in panel.tracked.y]
    shown = list(dict.fromkeys(["shortcut", "depth", "seed", "outcome", *shown]))
    return [f"config:{name}.value" if name in CONFIG_KEYS else f"summary:{name}" for name in shown]


def _find(made: Any) -> dict[str, Any] | None:
    """The workspace of this name at W&B, if there is one."""
    from wandb_workspaces.workspaces import internal

    try:
        return internal.get_view_dict(
            made.entity, made.project, internal._internal_name_to_url_query_str(made._internal_name)
        )
    except ValueError as error:
        if "not found" in str(error):
            return None
        raise


def _stored(there: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(there["spec"])
