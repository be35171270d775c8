"""What an experiment declared before its runs: question, margin, looks, family."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from reslab.runs.fields import is_whole
from reslab.runs.folder import SCHEMA, read_json, write_json

POINTS = 100.0  # percent points in a share
MOST = 10_000  # seeds per cell


@dataclass(frozen=True)
class Study:
    """The `study` node of an experiment's config."""

    question: str = ""
    prediction: str = ""
    delta: float = 0.25
    """Points of clean training error that matter."""
    looks: tuple[int, ...] = (3, 5, 8)
    """Seeds per cell at which a verdict may change; the error probability is split over them."""
    shortcuts: tuple[str, ...] = ()
    """The family of the Holm correction, with `depths`; empty: whatever was planned."""
    depths: tuple[int, ...] = ()
    tuning_seeds: tuple[int, ...] = ()
    """Seeds that choose the learning rate and are left out of every comparison."""
    published: str = ""
    """Set of published values that stands beside ours, a name of analysis.published."""
    ended: int = 0
    """Runs of the experiment that had ended when it was declared: 0 is a prediction."""

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> "Study":
        """From a config node or a record; keys that are none of ours (schema) are passed over.

        ValueError for what cannot be meant, naming the setting, its value and what works.
        """
        kept: dict[str, Any] = {}
        for key, default in ((field.name, field.default) for field in fields(cls)):
            if key in node:
                value = node[key]
                if isinstance(default, tuple) != isinstance(value, list):
                    kind = "a list" if isinstance(default, tuple) else "a single value"
                    raise ValueError(f"study.{key}={value} is not {kind}")
                kept[key] = tuple(value) if isinstance(value, list) else value
        _check({field.name: kept.get(field.name, field.default) for field in fields(cls)})
        return cls(**kept | ({"delta": float(kept["delta"])} if "delta" in kept else {}))


def _check(values: Mapping[str, Any]) -> None:
    delta, looks, depths, shortcuts = (values[name] for name in ("delta", "looks", "depths", "shortcuts"))
    if isinstance(delta, bool) or not isinstance(delta, int | float) or not 0 < delta < 100:
        raise ValueError(f"study.delta={delta} is not between 0 and 100 points; the default is 0.25")
    if not looks or not _rising(looks, least=2) or looks[-1] > MOST:
        raise ValueError(
            f"study.looks={list(looks)} are not rising numbers of seeds from 2 on, to {MOST:,}; the default is [3,5,8]"
        )
    if not _rising(depths, least=1):
        raise ValueError(f"study.depths={list(depths)} are not rising depths; use for example [20,56]")
    if not all(isinstance(name, str) for name in shortcuts) or len(set(shortcuts)) < len(shortcuts):
        raise ValueError(f"study.shortcuts={list(shortcuts)} are not different names; use for example [none,identity]")
    if not all(is_whole(seed) for seed in values["tuning_seeds"]):
        raise ValueError(f"study.tuning_seeds={list(values['tuning_seeds'])} are not seeds; use for example [100,101]")
    for name in ("question", "prediction", "published"):
        if not isinstance(values[name], str):
            raise ValueError(f"study.{name}={values[name]} is not a text")
    if not is_whole(values["ended"]):
        raise ValueError(f"study.ended={values['ended']} is not a number of runs")


def _rising(values: Sequence[Any], *, least: int) -> bool:
    whole = all(is_whole(value, least=least) for value in values)
    return whole and list(values) == sorted(set(values))


def study_file(outputs: Path, experiment: str) -> Path:
    """Where the declaration of an experiment lies."""
    return outputs / "experiments" / experiment / "study.json"


def declare(outputs: Path, experiment: str, study: Study) -> Study:
    """Write the declaration if there is none; returns the one that holds (the first one)."""
    path = study_file(outputs, experiment)
    if path.exists():
        return read_study(outputs, experiment)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(study))
    return study


def read_study(outputs: Path, experiment: str) -> Study:
    """The declaration that holds; defaults where nothing was declared. ValueError for one that cannot be read."""
    path = study_file(outputs, experiment)
    if not path.exists():
        return Study()
    found = read_json(path)
    try:
        if found is None:
            raise ValueError("it is torn")
        if found.get("schema") != SCHEMA:
            raise ValueError(f"it has schema {found.get('schema')}, this version reads {SCHEMA}")
        return Study.of(found)
    except ValueError as error:
        raise ValueError(
            f"the declaration {path} cannot be used: {error}; restore it, or delete it and declare anew with "
            f"reslab train (the report then says that it was declared late)"
        ) from error
