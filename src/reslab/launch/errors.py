"""Errors of composing and checking, in a user's words."""

import difflib
import re
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from reslab.launch.compose import did_you_mean, known_keys
from reslab.launch.paths import conf_folder

PLAIN = "a plain net is shortcut=none, a residual net any other shortcut; block says which convolutions a branch has"


def explain(error: BaseException, verb: str, arguments: list[str]) -> str | None:
    """One message for what a user can mend; None for a defect of ours, which deserves its trace."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    text = "\n".join(str(link) for link in chain)
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


def _unknown_choice(group: str, choice: str) -> str:
    folders = [conf_folder() / group, Path.cwd() / "conf" / group]
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    near = difflib.get_close_matches(choice, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    said = f"{group}={choice} is unknown; it is one of {', '.join(known) or 'none'}{meant}"
    return f"{said}\n{PLAIN}" if group == "block" and choice in ("plain", "residual") else said
