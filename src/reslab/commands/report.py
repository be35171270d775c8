"""`reslab report experiment=NAME`: the verdict on the terminal, a page that opens from disk, tables and figures."""

import time
from pathlib import Path

from rich.console import Console

from reslab.analysis.answer import Answer, answer
from reslab.launch.checks import check_name
from reslab.launch.compose import compose
from reslab.launch.freeze import resolve_verb
from reslab.report.console import show, show_files
from reslab.report.evidence import complete, coverage, following

EVERY = 5  # seconds between two looks at the records


def main(arguments: list[str]) -> int:
    """Answer, print, write the files, say where."""
    config = resolve_verb(compose("report", arguments)[0])
    name, outputs = check_name(str(config["experiment"])), Path(config["outputs"]).absolute()
    notebook = Path.cwd() / "experiments" / name
    answered = answer(outputs, name)
    out = Console(highlight=False)
    out.width = max(out.width, 140)  # tables are never squeezed
    if config["watch"]:
        answered = _watch(answered, outputs, out)
    # the libraries that draw are loaded here, when it is known that there is an experiment
    from reslab.report.publish import publish, refuse
    from reslab.report.write import draw, write_report

    if config["publish"]:
        refuse(answered, outputs=outputs, folder=notebook)
    show(answered, out)
    drawn, folder = draw(answered), _folder(outputs, name)
    files = write_report(answered, drawn, folder, outputs=outputs)
    if config["publish"]:
        files += publish(answered, drawn, folder, notebook)
    show_files(files, out)
    ahead = following(answered, outputs)
    for command in ahead.first if ahead else ():
        out.print(f"next: {command}", markup=False, soft_wrap=True)
    if ahead:
        out.print(f"      ({ahead.reason})", markup=False, soft_wrap=True)
    return 0


def _watch(answered: Answer, outputs: Path, out: Console) -> Answer:
    """Renew the page until every run has ended or someone presses Ctrl-C; returns the last answer."""
    from reslab.report.write import draw, write_page

    said = ""
    try:
        while not complete(answered):
            write_page(answered, draw(answered), _folder(outputs, answered.experiment), outputs=outputs, every=EVERY)
            if not said:
                page = _folder(outputs, answered.experiment) / "report.html"
                out.print(f"watching, Ctrl-C ends: {page}", markup=False, soft_wrap=True)
            if said != (said := coverage(answered)):
                out.print(f"{time.strftime('%H:%M:%S')} {said}")
            time.sleep(EVERY)
            answered = answer(outputs, answered.experiment)
    except KeyboardInterrupt:
        out.print("stopped watching")
    return answered


def _folder(outputs: Path, experiment: str) -> Path:
    return outputs / "reports" / experiment
