"""The lab notebook: what was asked, predicted, done and found, with tables and figures, below experiments/NAME/."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from reslab.analysis.answer import Answer
from reslab.report.drawing import Drawing
from reslab.report.evidence import ENDED, following
from reslab.report.notebook import notebook, portable
from reslab.report.panels import PANELS, Panel
from reslab.report.write import TABLES


def refuse(answered: Answer, *, outputs: Path, folder: Path) -> None:
    """ValueError, before anything is written, for an incomplete plan, without a commit, or with changes since."""
    runs = answered.runs
    left = runs.filter(~pl.col("state").is_in(ENDED))
    if not left.is_empty():
        ahead = following(answered, outputs)
        commands = "; then ".join(ahead.first) if ahead else "the commands that began them"
        raise ValueError(
            f"publish=true: {len(left)} of {len(runs)} planned runs of {answered.experiment} have not ended, and a "
            f"notebook tells of whole experiments; first: {commands}"
        )
    here = Path.cwd()
    if _git(here, "rev-parse", "--verify", "HEAD") is None:
        raise ValueError(
            f"publish=true: {here} is in no git repository with a commit, so nothing names the code and settings of "
            "what would be published; git init and commit first"
        )
    changed = changes(folder, outputs)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ValueError(
            f"publish=true: files differ from the commit ({', '.join(changed[:3])}{more}), so no commit names what "
            "was published; commit or remove them first"
        )


def changes(folder: Path, outputs: Path) -> list[str]:
    """Files of the current repository that differ from its commit, notebook folder and outputs left aside."""
    here = Path.cwd()
    top = _git(here, "rev-parse", "--show-toplevel")
    if top is None:
        return []
    root = Path(top.strip())
    aside = [path.resolve() for path in (folder, outputs)]
    inside = [f":(top,exclude){path.relative_to(root)}" for path in aside if path.is_relative_to(root) and path != root]
    said = _git(here, "status", "--porcelain", "--untracked-files=all", "--", ":(top)", *inside) or ""
    return [line[3:] for line in said.splitlines()]


def publish(answered: Answer, drawn: Sequence[tuple[Panel, Drawing | None]], report: Path, folder: Path) -> list[Path]:
    """README.md, results.csv (one row per run, no local paths), one CSV per table, figures/*.png."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    files = [folder / "results.csv"]
    portably = pl.col("command").map_elements(portable, return_dtype=pl.String)
    answered.runs.drop("folder").with_columns(portably).write_csv(files[0])
    for name in TABLES:
        path, table = folder / f"{name}.csv", getattr(answered, name)
        if name == "runs":
            continue
        if table.is_empty():
            path.unlink(missing_ok=True)
            continue
        table.write_csv(path)
        files.append(path)
    for panel in PANELS:
        source, target = (place / "figures" / f"{panel.key}.png" for place in (report, folder))
        if source.exists():
            files.append(Path(shutil.copyfile(source, target)))
        else:
            target.unlink(missing_ok=True)
    (folder / "README.md").write_text(notebook(answered, drawn))
    return [folder / "README.md", *files]


def _git(here: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
