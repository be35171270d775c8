"""How fast finished runs were, from their records."""

import os
import platform
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reslab.runs.folder import RunFolder, read_json
from reslab.runs.integrity import of_result
from reslab.runs.plan import experiments, plan_file, read_plan

FINISHED = ("trained", "at_chance")
NET = ("block", "order", "shortcut", "norm", "net", "depth", "width", "macs", "batch")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decides how long a run takes; None means that it is not known and does not matter."""

    cell: str
    net: tuple[Any, ...]
    data: str
    precision: str
    macs: int
    batch: int
    steps: int
    images: int | None = None  # training, validation and test images scored at the end
    threads: int | None = None
    gpu: bool | None = None
    runs_per_gpu: int | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Wanted | None":
        """From a line of a plan; None where a user's own layer hides the multiply-adds."""
        if entry.get("macs") is None:
            return None
        own = {name: entry[name] for name in ("cell", "data", "precision", "macs", "batch", "steps")}
        return cls(net=tuple(entry[name] for name in NET), **own)

    @property
    def work(self) -> float:
        """Multiply-adds of the forward pass of one step."""
        return float(self.macs) * self.batch


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What one finished run took: seconds per step, to start and stop, and to measure."""

    run: Wanted
    step: float
    start: float
    measure: float

    @classmethod
    def of(cls, entry: Mapping[str, Any], result: Mapping[str, Any]) -> "Speed | None":
        """From a line of a plan and a result without problems; None where it tells nothing of a machine like this."""
        try:
            run = Wanted.of(entry)
            if run is None or result["outcome"] not in FINISHED:
                return None  # a diverged run stopped early and measured nothing
            hardware, times = result["hardware"], result["times"]
            if any(hardware[name] != value for name, value in _here().items()):
                return None
            step = run.batch / result["images_per_second"]
            start = times["build"] + times["open"] + times["close"]
            measure = max(times["fit"] - step * result["step"], 0.0) + times["evaluate"]
            images = sum(result[part]["n"] for part in ("train", "validation", "test") if part in result)
            known = {"images": images, "threads": hardware["threads"], "gpu": hardware["device"] != "cpu"}
            known["runs_per_gpu"] = hardware.get("runs_per_gpu", 1)
            return cls(run=Wanted(**{**vars(run), **known}), step=step, start=start, measure=measure)
        except (KeyError, TypeError, ZeroDivisionError):  # an older record without these figures
            return None


def recorded(outputs: Path, but: str = "", known: Collection[tuple[str, int]] = ()) -> list[Speed]:
    """Speeds of every finished run under `outputs` that was trained on a machine like this one.

    The experiment `but` and the runs (cell, seed) of `known` are passed over, as those that have been looked at.
    """
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    for name in experiments(outputs):
        with suppress(ValueError):  # a plan of another schema tells nothing here
            plan = read_plan(plan_file(outputs, name)) if name != but else []
            entries |= {key: entry for entry in plan if (key := (entry["cell"], entry["seed"])) not in known}
    found = []
    for entry in entries.values():
        result = read_json(RunFolder(outputs / entry["folder"]).result)
        if result is not None and not of_result(result, entry):
            found.append(Speed.of(entry, result))
    return [speed for speed in found if speed is not None]


@cache
def _here() -> dict[str, Any]:
    return {"machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count()}
