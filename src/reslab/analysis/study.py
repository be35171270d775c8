"""What an experiment declared before its runs: question, margin, looks, family."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reslab.runs.folder import read_json, write_json

POINTS = 100.0  # percent points in a share


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
        """From a config node or a record; unknown keys (schema) are passed over."""
        kept: dict[str, Any] = {key: node[key] for key in cls.__dataclass_fields__ if key in node}
        values: Any = {key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()}
        return cls(**values)


def study_file(outputs: Path, experiment: str) -> Path:
    """Where the declaration of an experiment lies."""
    return outputs / "experiments" / experiment / "study.json"


def declare(outputs: Path, experiment: str, study: Study) -> Study:
    """Write the declaration if there is none; returns the one that holds (the first one)."""
    path = study_file(outputs, experiment)
    found = read_json(path)
    if found is not None:
        return Study.of(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(study))
    return study


def read_study(outputs: Path, experiment: str) -> Study:
    """The declaration that holds; defaults where nothing was declared."""
    return Study.of(read_json(study_file(outputs, experiment)) or {})
