"""`reslab push experiment=NAME`: upload from the records whatever W&B has not got: runs, their summary, a workspace."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslab.launch.checks import check_name
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.runs.plan import NoRunsError, plan_file, read_plan
from reslab.tracking.mode import NO_KEY, has_key

if TYPE_CHECKING:
    from reslab.tracking.push import Ended, Pushed
    from reslab.tracking.remote import Remote

WORDS = {"made": "new", "completed": "completed", "tagged": "there, tagged", "there": "there"}


def main(arguments: list[str]) -> int:
    """Push, saying what was sent, what was there, and where to look; 1 if runs had to be left out as edited."""
    config = resolve_verb(compose("push", arguments)[0])
    name, outputs = check_name(str(config["experiment"])), Path(config["outputs"]).absolute()
    entries = read_plan(plan_file(outputs, name))
    if not entries:
        raise NoRunsError(outputs, name)
    if not has_key():
        raise ValueError(NO_KEY)
    os.environ.setdefault("WANDB_HTTP_TIMEOUT", str(config["init_timeout"]))  # read when W&B is imported
    from reslab.tracking.push import gather, push_runs

    ended, left = gather(outputs, entries)
    remote = _remote(config, ended)
    print(f"{name} · {len(ended)} of {len(entries)} runs have ended · {remote.url}", flush=True)
    pushed = push_runs(remote, ended, name, _teller(len(ended)))
    rows = sum(run.rows for run in pushed)
    counts = Counter(WORDS[run.did] for run in pushed)
    print(f"runs: {', '.join(f'{n} {word}' for word, n in sorted(counts.items())) or 'none'} · {rows} rows sent")
    for sentence in left:
        print(f"left out: {sentence}")
    _present(remote, name, outputs)
    if len(ended) + len(left) < len(entries):
        first = f"reslab train experiment={name}, then " if name != "adhoc" else ""
        print(f"next: {first}the same push again when more runs have ended: it sends what is new")
    return 1 if left else 0


def _remote(config: Mapping[str, Any], ended: "list[Ended]") -> "Remote":
    """The server and the project where these runs were to be logged, unless the command says another."""
    from reslab.tracking.remote import Remote

    own = [run.config["tracking"] for run in ended] or [{"project": "reslab", "entity": None}]
    for key in ("project", "entity"):
        different = sorted({str(tracking[key]) for tracking in own})
        if config[key] is None and len(different) > 1:
            raise ValueError(f"the runs name several of tracking.{key}: {', '.join(different)}; use {key}=NAME")
    where = {key: config[key] or own[0][key] for key in ("project", "entity")}
    return Remote(**where, init_timeout=config["init_timeout"], finish_timeout=config["finish_timeout"])


def _teller(total: int) -> "Callable[[Pushed], None]":
    """One line per run that something was sent of; every hundredth of the rest: a long push is seen to go on."""
    seen = 0

    def tell(pushed: "Pushed") -> None:
        nonlocal seen
        seen += 1
        if pushed.did != "there" or seen % 100 == 0:
            own = pushed.run.config["run"]
            label = f"{own['label']}-{own['cell'][:8]} seed={pushed.run.config['seed']}"
            print(f"[{seen}/{total}] {label}  {WORDS[pushed.did]}  {pushed.rows} rows", flush=True)

    return tell


def _present(remote: "Remote", experiment: str, outputs: Path) -> None:
    """The summary run and the workspace."""
    import polars as pl

    from reslab.analysis.answer import answer
    from reslab.report import workspace
    from reslab.report.figures import write_figures
    from reslab.report.panels import PANELS
    from reslab.tracking.summary import push_summary, values

    answered = answer(outputs, experiment)
    drawn = [(panel, panel.draw(answered)) for panel in PANELS]
    figures = [panel.key for panel, drawing in drawn if drawing is not None and drawing.chart is not None]
    did = push_summary(
        remote,
        experiment=experiment,
        facts=values(answered.gaps, answered.onsets, answered.rescues)
        | {badge.name.lower(): badge.sentence for badge in answered.badges},
        tables={key: value for key, value in vars(answered).items() if isinstance(value, pl.DataFrame)},
        figures=figures,
        draw=lambda folder: write_figures(drawn, folder, experiment=experiment),
    )
    print(f"summary run: {did}")
    place = {"entity": remote.entity, "project": remote.project, "experiment": experiment}
    made = workspace.workspace(**place, panels=PANELS, figures=figures)
    try:
        saved, url = workspace.save(made, outputs / "experiments" / experiment / "workspace.json")
    except Exception as error:  # W&B's own kinds of error change with its versions
        raise ValueError(f"runs and summary are complete at W&B, the workspace is not; {remote.say(error)}") from error
    print(f"workspace: {saved} · {url}")
