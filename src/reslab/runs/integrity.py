"""Whether a run folder still is what was planned: edited, copied or torn records are named, not counted in silence."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from reslab.runs.fields import NAME, NUMBER, TEXT, Rule, broken, each, is_whole, number, optional, table, whole
from reslab.runs.folder import RunFolder
from reslab.runs.identity import IDENTITY, cell_hash, planned
from reslab.runs.reading import FROZEN, parse_config, read_bytes
from reslab.runs.status import DONE, Records

SECTIONS = tuple(dict.fromkeys(key.split(".")[0] for key in IDENTITY))  # top-level keys that a cell depends on
OUTCOMES = (*DONE, "failed")
NEEDED = {
    **dict.fromkeys(("trained", "at_chance"), ("cell", "seed", "train")),
    "diverged": ("cell", "seed"),
    "failed": (),  # a failure's record may hold a reason and nothing else
}
TORN = "result.json is torn; the run counts as not ended"
UNREADABLE = "config.yaml cannot be read: it was edited"
_KEYS = re.compile(r"\n(?=[^\s#-])")  # begins with a letter that can be searched for: three times as fast as ^


def problems(folder: RunFolder, entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with the records of a run; `entry` is its line in the plan, as `read_plan` gives it.

    Sentences, none if all is well or nothing has begun. A run with any problem belongs in no number; the fields of a
    result without one are as RESULT says, or absent.
    """
    return of_records(Records.of(folder), entry)


def of_records(records: Records, entry: Mapping[str, Any]) -> list[str]:
    """As `problems`, where the records have been read already; the config is read here."""
    if other := records.foreign:
        return other
    result = records.result
    found = [TORN] if records.torn else []
    found += _config_problems(records.folder.config, entry, begun=result is not None)
    return found + (of_result(result, entry) if result is not None else [])


def _config_problems(path: Path, entry: Mapping[str, Any], *, begun: bool) -> list[str]:
    try:
        text = read_bytes(path, FROZEN).decode()
    except OSError:
        return ["config.yaml is missing: nothing tells what was trained"] if begun else []
    except UnicodeDecodeError:
        return ["config.yaml is not text"]
    except ValueError:
        return [UNREADABLE]
    sections = split(text)
    read = _read(tuple(sections.get(name, "") for name in SECTIONS))
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
    blocks = _KEYS.split(text)
    if len(blocks) > 1:
        blocks = [f"{block}\n" for block in blocks[:-1]] + blocks[-1:]
    return {block.partition(":")[0].strip("'\""): block for block in blocks if block.strip()}


@lru_cache(maxsize=1024)
def _read(sections: tuple[str, ...]) -> tuple[str, dict[str, Any]] | None:
    """Cell and planned columns of these sections; remembered, since the seeds of a cell share them to the letter."""
    try:
        config = {name: value for text in sections if text for name, value in _parsed(text).items()}
        return cell_hash(config), planned(config)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


@lru_cache(maxsize=1024)
def _parsed(section: str) -> Any:
    """One section; remembered, since the cells of a sweep differ in few of them."""
    return parse_config(section)


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
NOT_NEGATIVE = Rule("a number of at least 0", lambda value: number(value, least=0.0) is not None)
RESULT = {
    "outcome": Rule(f"one of {', '.join(OUTCOMES)}", lambda value: value in OUTCOMES),
    **dict.fromkeys(("train", "train_fresh_norm", "validation", "test"), SCORE),
    "cell": NAME,
    **dict.fromkeys(("seed", "step", "samples", "attempt", "params"), whole()),
    **dict.fromkeys(("first_bad_step", "norm_params", "macs"), optional(whole())),
    **dict.fromkeys(("reason", "evaluation_subset"), optional(TEXT)),
    **dict.fromkeys(("commit", "command", "weights"), TEXT),
    **dict.fromkeys(("versions", "split"), each(TEXT)),
    "images_per_second": NOT_NEGATIVE,
    "times": each(NUMBER),
    "probes": table({"images": whole(), "batch": optional(TEXT)} | dict.fromkeys(("seconds", "share"), NOT_NEGATIVE)),
    "hardware": table(
        dict.fromkeys(("device", "machine", "capability", "system", "stepping"), TEXT)
        | {"threads": whole(1), "runs_per_gpu": whole(1), "cores": optional(whole(1))}
    ),
}
"""What a result may hold."""
