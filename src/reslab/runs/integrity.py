"""Whether a run folder still is what was planned: edited, copied or torn records are named, not counted in silence."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from reslab.runs.fields import NAME, NUMBER, TEXT, Rule, broken, each, is_whole, number, optional, table, whole
from reslab.runs.folder import RunFolder, read_json
from reslab.runs.identity import IDENTITY, cell_hash, planned
from reslab.runs.status import DONE, foreign

SECTIONS = tuple(dict.fromkeys(key.split(".")[0] for key in IDENTITY))  # top-level keys that a cell depends on
OUTCOMES = (*DONE, "failed")
NEEDED = {
    **dict.fromkeys(("trained", "at_chance"), ("cell", "seed", "train")),
    "diverged": ("cell", "seed"),
    "failed": (),  # a failure's record may hold a reason and nothing else
}
TORN = "result.json is torn; the run counts as not ended"
UNREADABLE = "config.yaml cannot be read: it was edited"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is five times as fast


def problems(folder: RunFolder, entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with the records of a run; `entry` is its line in the plan, as `read_plan` gives it.

    Sentences, none if all is well or nothing has begun. A run with any problem belongs in no number; the fields of a
    result without one are as RESULT says, or absent.
    """
    other = foreign(folder)
    if other:
        return other
    result = read_json(folder.result)
    torn = result is None and folder.result.exists()
    found = [TORN] if torn else []
    found += _config_problems(folder.config, entry, begun=result is not None)
    return found + (of_result(result, entry) if result is not None else [])


def _config_problems(path: Path, entry: Mapping[str, Any], *, begun: bool) -> list[str]:
    try:
        text = path.read_text()
    except OSError:
        return ["config.yaml is missing: nothing tells what was trained"] if begun else []
    except UnicodeDecodeError:
        return ["config.yaml is not text"]
    sections = split(text)
    read = _read("".join(sections.get(name, "") for name in SECTIONS))
    if read is None:
        return [UNREADABLE]
    cell, facts = read
    found = []
    if cell == entry["cell"]:
        found += [
            f"config.yaml has {name}={value} where the plan has {name}={entry[name]}: the plan was edited"
            for name, value in facts.items()
            if value != entry[name]
        ]
    else:
        found.append(
            f"config.yaml gives cell {cell[:8]} where {entry['cell'][:8]} was planned: it was edited, copied from "
            "another run, or written by a version that forms cells differently"
        )
    seed = sections.get("seed", "").partition(":")[2].strip()
    if seed != str(entry["seed"]):
        found.append(f"config.yaml has seed {seed or '?'} where {entry['seed']} was planned")
    return found


def split(text: str) -> dict[str, str]:
    """The text of each top-level key of a frozen config."""
    blocks = re.split(r"^(?=[^\s#-])", text, flags=re.MULTILINE)
    return {block.partition(":")[0].strip("'\""): block for block in blocks if block.strip()}


@lru_cache(maxsize=1024)
def _read(text: str) -> tuple[str, dict[str, Any]] | None:
    """Cell and planned columns of these sections; remembered, since the seeds of a cell share them to the letter."""
    try:
        config = yaml.load(text, Loader=LOADER)
        return cell_hash(config), planned(config)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError):
        return None


def of_result(result: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with a result: fields that lack or break their rule, and the identity of another run."""
    found = [f"result.json has {said}: it was edited" for said in broken(result, RESULT)]
    needed = NEEDED.get(str(result.get("outcome")), ("outcome",))
    found += [f"result.json lacks {name}: it was edited" for name in needed if name not in result]
    return found + [
        f"result.json is of {name} {str(result[name])[:8]} where {str(entry[name])[:8]} was planned"
        for name in ("cell", "seed")
        if name in result and result[name] != entry[name]
    ]


def _is_score(value: Any) -> bool:
    if not isinstance(value, Mapping) or not is_whole(value.get("n"), least=1) or not is_whole(value.get("errors")):
        return False
    error, entropy = number(value.get("error")), value.get("cross_entropy")
    adds_up = error is not None and abs(error - value["errors"] / value["n"]) < 1e-9
    return adds_up and value["errors"] <= value["n"] and (entropy is None or number(entropy, least=0.0) is not None)


SCORE = Rule("a score: 0 <= errors <= n, error = errors / n, cross_entropy null or at least 0", _is_score)
RESULT = {
    "outcome": Rule(f"one of {', '.join(OUTCOMES)}", lambda value: value in OUTCOMES),
    **dict.fromkeys(("train", "train_fresh_norm", "validation", "test"), SCORE),
    "cell": NAME,
    **dict.fromkeys(("seed", "step", "samples", "attempt", "params"), whole()),
    **dict.fromkeys(("first_bad_step", "norm_params", "macs"), optional(whole())),
    **dict.fromkeys(("reason", "evaluation_subset"), optional(TEXT)),
    **dict.fromkeys(("commit", "command", "weights"), TEXT),
    **dict.fromkeys(("versions", "split"), each(TEXT)),
    "images_per_second": Rule("a number of at least 0", lambda value: number(value, least=0.0) is not None),
    "times": each(NUMBER),
    "hardware": table(
        dict.fromkeys(("device", "machine", "capability", "system"), TEXT)
        | {"threads": whole(1), "cores": optional(whole(1))}
    ),
}
"""What a result may hold."""
