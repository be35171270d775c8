"""Real trainings with a watch: when a run was asked for, began and ended, and what it spent on what."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reslab.launch.pool import train  # nothing that the fork server has not got: its import would count as a start
from reslab.launch.ranks import Place

CLOCK = "clock.json"
"""The file in which a worker leaves its times."""


class Timed:
    """What a worker does with a run folder: train, and leave its times there."""

    def __init__(self, asked: float | None = None) -> None:
        """`asked` is set by pickling: the parent does it at the moment at which it asks for a process."""
        self._asked = asked

    def __reduce__(self) -> tuple[type["Timed"], tuple[float]]:
        """One clock for all processes of a machine."""
        return Timed, (time.monotonic(),)

    def __call__(self, path: str, place: Place) -> None:
        """Train as ever, but with a watch around the scores while training, in this process alone."""
        entered, scored = time.monotonic(), 0.0
        from reslab.launch.measure import Measure  # imported in the fork server already

        score = Measure.scheduled

        def watched(*arguments: Any) -> Any:
            nonlocal scored
            began = time.monotonic()
            found = score(*arguments)
            scored += time.monotonic() - began
            return found

        Measure.scheduled = watched  # type: ignore[assignment]  # this process ends with the run
        train(path, place)
        (Path(path) / CLOCK).write_text(json.dumps({"asked": self._asked, "entered": entered, "scored": scored}))


@dataclass(frozen=True)
class Parts:
    """Seconds of one run beside its training, about in the order in which they pass."""

    start: float
    """From the request of a process to its first line."""
    build: float
    open: float
    """W&B and the trainer."""
    fit: float
    """Beside steps and scores: data, Lightning, probes, the checkpoint."""
    scores: float
    """Clean scores before the first step, after the last one, and of the final weights."""
    close: float
    rest: float
    """Weights, result, the end of the process, until the parent knows."""

    @property
    def whole(self) -> float:
        """From the request of a process until the parent knows of its end, but for the steps."""
        return sum(asdict(self).values())

    @property
    def fixed(self) -> float:
        """The same without the scores, which grow with net and data."""
        return self.whole - self.scores


def parts(result: dict[str, Any], clock: dict[str, float], ended: float) -> Parts:
    """Of a run by its result, by what its worker left, and by when the parent saw it end."""
    times, training = result["times"], result["samples"] / result["images_per_second"]
    return Parts(
        start=clock["entered"] - clock["asked"],
        build=times["build"],
        open=times["open"],
        fit=times["fit"] - training - clock["scored"],
        scores=times["evaluate"] + clock["scored"],
        close=times["close"],
        rest=ended - clock["entered"] - sum(times.values()),
    )


def middle(found: Iterable[Parts]) -> Parts:
    """The run of median cost, of an even number the dearer one."""
    ordered = sorted(found, key=lambda one: one.whole)
    return ordered[len(ordered) // 2]
