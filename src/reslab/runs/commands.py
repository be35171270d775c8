"""The commands that planned runs, as they are said again to whoever goes on with them."""

import shlex
from collections.abc import Iterable
from pathlib import Path


def folder_words(outputs: Path) -> list[str]:
    """What a command must say of its folder: nothing where it is the default one here."""
    return [] if outputs == Path("outputs").absolute() else [f"outputs={outputs}"]


def again(commands: Iterable[str | None], experiment: str, outputs: Path) -> list[str]:
    """What starts or resumes the runs that these commands planned; None, of an old plan: the experiment's own.

    Empty where nobody knows: runs of an old plan without an experiment.
    """
    known, where = list(dict.fromkeys(commands)), folder_words(outputs)
    found = [_at(command, where) for command in known if command]
    if experiment != "adhoc" and (None in known or not found):
        found.insert(0, shlex.join(["reslab", "train", f"experiment={experiment}", *where]))
    return list(dict.fromkeys(found))


def with_seeds(command: str, number: int) -> str:
    """The same command for the seeds 0 to `number` - 1, whichever it was given for."""
    words = [word for word in shlex.split(command) if word.partition("=")[0].lstrip("+") != "seed"]
    return f'{shlex.join(words)} "seed=range(0,{number})"'


def _at(command: str, where: list[str]) -> str:
    """As it was given; with the folder where that was the default one and is not now."""
    return command if not where or " outputs=" in command else f"{command} {shlex.join(where)}"
