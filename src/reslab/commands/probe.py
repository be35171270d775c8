"""`reslab probe probe=init`, or `reslab probe run=FOLDER probe=NAME`: measure nets without training them."""

import shlex
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reslab.launch.checks import whole
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.launch.here import outputs_of, unfetched
from reslab.launch.probing.grid import AXES, points
from reslab.launch.words import listed, quoted
from reslab.runs.commands import folder_words
from reslab.runs.folder import RunFolder, write_json
from reslab.runs.plan import experiments, plan_file, read_plan
from reslab.runs.studies import SCHEMAS, write_study

STUDY = "probe=lesion, linear, slices or curvature"
OURS = ("run", "outputs", "trust", "hydra", "probe")  # of every probe; the rest are settings of the one that is chosen


def main(arguments: list[str]) -> int:
    """Measure, draw, and say what was written and what to type next."""
    composed, choices = compose("probe", [quoted(_listed(word, arguments)) for word in arguments])
    config, name = resolve_verb(composed), str(choices["probe"])
    out = Console(highlight=False)
    if name == "init":
        return _init(config, out)
    return _of_run(name, config, out)


def _listed(word: str, arguments: list[str]) -> str:
    """The axes of the grid are lists; another probe has one seed."""
    other = any(argument.startswith("probe=") and argument != "probe=init" for argument in arguments)
    return word if other else listed(word, AXES)


def _init(config: dict[str, Any], out: Console) -> int:
    if config["run"]:
        raise ValueError(f"probe=init measures no run, but run={config['run']} was given; use {STUDY}, or no run")
    nets = points(config)
    from reslab.analysis import init_grid
    from reslab.launch.probing.init import measure
    from reslab.report.charts_init import figures
    from reslab.report.figures import write_figures

    folder = Path(config["outputs"]).absolute() / "probes" / "init"
    out.print(f"measuring {len(nets)} nets at initialisation, batch statistics of {config['images']} images each")
    readings = measure(nets, config["images"], out)
    ratios = init_grid.ratios(readings)
    folder.mkdir(parents=True, exist_ok=True)
    readings.write_parquet(folder / "readings.parquet")
    ratios.write_csv(folder / "ratios.csv")
    by_depth, growth = init_grid.tables(ratios)
    wide = Console(highlight=False, width=max(out.width, 120))
    wide.print(_table("gradient norm, first unit / last unit (geometric mean over seeds)", by_depth))
    wide.print(_table("squared gradient norm per layer, towards the input; xi in layers; deepest nets", growth))
    out.print(init_grid.answer(ratios), markup=False)
    files = write_figures(figures(readings), folder / "figures", experiment="at initialisation")
    out.print(
        f"wrote {folder}/readings.parquet, ratios.csv and {len(files)} files in figures/", markup=False, soft_wrap=True
    )
    out.print("what training makes of it: reslab train shortcut=none depth=56 probes=full", markup=False)
    return 0


def _of_run(name: str, config: dict[str, Any], out: Console) -> int:
    if not config["run"]:
        raise ValueError(f"probe={name} studies a finished run; use run=outputs/runs/<label>-<hash>/seed=<n>")
    if name not in SCHEMAS:
        raise ValueError(f"probe={name} is none of our studies; they are {', '.join(SCHEMAS)}")
    study = import_module(f"reslab.launch.probing.{name}")
    for key in study.WHOLE:
        whole(key, config[key], 1)
    from reslab import api
    from reslab.launch.probing.threads import every_core

    folder = RunFolder(Path(config["run"]).absolute())
    trained = api.load(folder.path, trust=config["trust"])
    folder.check_links()
    frozen = unfetched(trained.config) | {"outputs": str(outputs_of(folder)), "trust": config["trust"]}
    with every_core():
        rows = study.study(trained.net, trained.normalisation, frozen, config, out)
    file = write_study(folder, name, rows)
    Console(highlight=False, width=max(out.width, 120)).print(study.said(rows))
    settings = {key: value for key, value in config.items() if key not in OURS}
    write_json(file.with_suffix(".json"), {"measured": time.time(), **settings, "summary": study.summary(rows)})
    out.print(f"wrote {file} and {name}.json beside it; {_where(folder)}", markup=False, soft_wrap=True)
    return 0


def _where(folder: RunFolder) -> str:
    """The reports that show a study of this run: of the experiments that planned it."""
    outputs, found = outputs_of(folder), []
    for experiment in experiments(outputs):
        with suppress(ValueError):  # of another version
            lines = read_plan(plan_file(outputs, experiment))
            own = (outputs / line["folder"] for line in lines)
            found += [experiment] if any(path.resolve() == folder.path.resolve() for path in own) else []
    if not found:
        return f"no plan in {outputs} has this run, so that no report shows it"
    words = (["reslab", "report", f"experiment={experiment}", *folder_words(outputs)] for experiment in found)
    return f"the figure is in: {' and '.join(map(shlex.join, words))}"


def _table(title: str, rows: Any) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in rows.columns:
        table.add_column(column, justify="left" if column in ("order", "norm", "net") else "right")
    for row in rows.iter_rows():
        table.add_row(*map(str, row))
    return table
