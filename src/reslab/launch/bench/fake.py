"""A training of known length that learns nothing and leaves the records of one that did."""

import os
import platform
import random
import time
from pathlib import Path
from typing import Any

from reslab.launch.ranks import Place
from reslab.runs.folder import RunFolder, write_json
from reslab.runs.reading import read_config
from reslab.runs.record import Rows
from reslab.runs.status import attempts, write_status

IMAGES, ROWS = 1000, 10


class Training:
    """What a worker does with a run folder, training replaced by `seconds` of sleep.

    It is pickled when the parent asks for a process, and takes the time along: so every start is timed where it
    happens, among all that goes on then.
    """

    def __init__(self, seconds: float, asked: float | None = None) -> None:
        """`asked` is set by pickling."""
        self.seconds, self.asked = seconds, asked

    def __reduce__(self) -> tuple[type["Training"], tuple[float, float]]:
        """One clock for all processes of a machine."""
        return Training, (self.seconds, time.monotonic())

    def __call__(self, path: str, place: Place) -> None:
        """Sleep, and leave the records."""
        start = time.monotonic() - self.asked if self.asked is not None else 0.0
        time.sleep(self.seconds)
        leave_records(RunFolder(Path(path)), self.seconds, start)


def leave_records(folder: RunFolder, seconds: float, start: float = 0.0) -> None:
    """Rows, result and status of a run that has begun, as if it had trained for `seconds` after `start`."""
    config = read_config(folder.config)
    attempt, origin = attempts(folder)
    steps, batch = config["recipe"]["steps"], config["recipe"]["batch"]
    rows = Rows(folder.metrics, attempt)
    for step in range(0, steps + 1, max(steps // ROWS, 1)):
        rows.write({"step": step, "samples": step * batch, "train/error": _errors(config, step) / IMAGES})
    rows.close()
    write_json(folder.result, _result(config, attempt, seconds) | {"times": _times(seconds, start)})
    write_status(folder, "ended", {"attempt": attempt, "origin": origin, "step": steps, "reason": "trained"})


def _errors(config: dict[str, Any], step: int) -> int:
    """Fewer with every step, more with the depth of plain nets, and others for another seed."""
    luck = random.Random(f"{config['run']['cell']} {config['seed']}").random()
    slope = 0.002 if config["choices"]["shortcut"] == "none" else 0.0002
    return round(IMAGES * (slope * config["depth"] + 0.02 * luck + 0.5 / (1 + step)))


def _result(config: dict[str, Any], attempt: int, seconds: float) -> dict[str, Any]:
    run, steps, batch = config["run"], config["recipe"]["steps"], config["recipe"]["batch"]
    errors = _errors(config, steps)
    score = {"error": errors / IMAGES, "errors": errors, "n": IMAGES, "cross_entropy": 0.1 + errors / IMAGES}
    return {
        **{"outcome": "trained", "reason": None, "cell": run["cell"], "seed": config["seed"]},
        **{"step": steps, "samples": steps * batch, "attempt": attempt},
        **dict.fromkeys(("train", "train_fresh_norm", "validation", "test"), score),
        **{key: run[key] for key in ("params", "norm_params", "macs", "commit", "versions", "command")},
        "images_per_second": steps * batch / seconds,
        "hardware": {
            **{"machine": platform.machine(), "system": platform.platform(), "capability": "none", "device": "cpu"},
            **{"cores": os.cpu_count(), "threads": config["trainer"]["threads"]},
        },
    }


def _times(seconds: float, start: float) -> dict[str, float]:
    return {"start": start, "build": 0.0, "open": 0.0, "fit": seconds, "evaluate": 0.0, "close": 0.0}
