"""Errors of composing and checking, in a user's words."""

import difflib
import errno
import re
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from reslab.launch.compose import did_you_mean, known_keys
from reslab.launch.paths import conf_folder
from reslab.runs.plan import NoRunsError

FULL = (errno.ENOSPC, errno.EDQUOT)  # raised by writing, without the name of a file
PLAIN = "a plain net is shortcut=none, a residual net any other shortcut; block says which convolutions a branch has"


def explain(error: BaseException, verb: str, arguments: list[str]) -> str | None:
    """One message for what a user can mend; None for a defect of ours, which deserves its trace."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    text = "\n".join(str(link) for link in chain)
    if isinstance(error, NoRunsError):
        return f"{error}; {_to_make(error.experiment)}"
    if isinstance(error, OSError) and (error.filename is not None or error.errno in FULL):
        return _of_system(error)
    if isinstance(error, ValueError | FileNotFoundError) and not isinstance(error, OmegaConfBaseException):
        return str(error)
    key = re.search(r"Could not (?:override|append|delete)[^']*'([^']+)'", text)
    if key:
        full = re.search(r"full_key: (\S+)", text)
        name = full[1] if full else key[1].partition("=")[0]
        return f"unknown key {name!r}{did_you_mean(name, known_keys('train' if verb == 'plan' else verb, arguments))}"
    missing = re.search(r"(?:Could not find|In '[^']+': Could not load) '?([\w/]+)/([\w.-]+)'?", text)
    if missing:
        return _unknown_choice(missing[1], missing[2])
    if "Ambiguous value for argument" in text:
        return f"{str(error).splitlines()[0]}: add -m to sweep over its values, or brackets for a list"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return str(error).splitlines()[0]
    return None


def _of_system(error: OSError) -> str:
    place, why = error.filename or "a record", error.strerror
    if isinstance(error, FileNotFoundError):
        return f"{place} cannot be read ({why})"
    did = "read or written" if isinstance(error, PermissionError | IsADirectoryError) else "written"
    return f"{place} cannot be {did} ({why}); use outputs=FOLDER with another folder"


def _to_make(experiment: str) -> str:
    known = _choices("experiment")
    if experiment in known:
        return f"to make them: reslab train experiment={experiment}"
    return f"experiments that can be trained: {', '.join(known)}"


def _choices(group: str) -> list[str]:
    folders = [conf_folder() / group, Path.cwd() / "conf" / group]
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})


def _unknown_choice(group: str, choice: str) -> str:
    known = _choices(group)
    near = difflib.get_close_matches(choice, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    said = f"{group}={choice} is unknown; it is one of {', '.join(known) or 'none'}{meant}"
    return f"{said}\n{PLAIN}" if group == "block" and choice in ("plain", "residual") else said
