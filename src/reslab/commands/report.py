"""`reslab report experiment=NAME`: the runs compared, on the console, as CSV and as one figure."""

import shutil
from pathlib import Path

import polars as pl
from rich.console import Console

from reslab.analysis import table as analysis
from reslab.launch.checks import check_name
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.report.console import show_cells, show_gaps
from reslab.report.figure import draw_errors


def main(arguments: list[str]) -> int:
    """Print the tables, write the files, say where."""
    config = resolve_verb(compose("report", arguments)[0])
    name, outputs = check_name(str(config["experiment"])), Path(config["outputs"]).absolute()
    runs = analysis.runs(outputs, name)
    cells = analysis.cells(runs)
    gaps = analysis.gaps(cells)
    out = Console(highlight=False)
    out.width = max(out.width, 140)  # tables are never squeezed
    done = int(runs["outcome"].is_in(["trained", "at_chance", "diverged"]).sum())
    out.print(f"[bold]{name}[/] · {done} of {len(runs)} runs have ended · mean ± standard deviation over n seeds\n")
    show_cells(cells, out)
    out.print()
    show_gaps(gaps, out)
    for sentence in analysis.differences(runs):
        out.print(f"note: {sentence}")
    files = write(runs, cells, gaps, outputs / "experiments" / name / "report")
    if config["publish"]:
        files += publish(files, Path.cwd() / "experiments" / name)
    out.print("\nwrote " + "\n      ".join(map(str, files)))
    if done < len(runs) and name != "adhoc":
        out.print(f"next: reslab train experiment={name}")
    return 0


def write(runs: pl.DataFrame, cells: pl.DataFrame, gaps: pl.DataFrame, folder: Path) -> list[Path]:
    """runs.csv, cells.csv, gaps.csv and, if anything was measured, depth.png."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in (("runs", runs), ("cells", cells), ("gaps", gaps)):
        table.write_csv(folder / f"{name}.csv")
        files.append(folder / f"{name}.csv")
    return [*files, folder / "depth.png"] if draw_errors(runs, folder / "depth.png") else files


def publish(files: list[Path], folder: Path) -> list[Path]:
    """Copy the record into the lab notebook: results.csv (one row per run, without local paths) and figures/."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    copies = []
    for file in files:
        if file.name == "runs.csv":
            pl.read_csv(file).drop("folder").write_csv(folder / "results.csv")
            copies.append(folder / "results.csv")
        elif file.suffix == ".png":
            copies.append(Path(shutil.copy(file, folder / "figures" / file.name)))
    return copies
