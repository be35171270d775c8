"""Starts one real worker: shows that the fork server works, what torch sees, and which precision is fastest here."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reslab.launch import resources, server
from reslab.launch.doctor.check import Check
from reslab.runs.folder import read_json, write_json
from reslab.runs.record import last_line

WORTH = 1.1  # a precision must be faster by this factor to be worth its rounding


def worker_checks() -> list[Check]:
    """Takes some seconds."""
    with tempfile.TemporaryDirectory(prefix="reslab-doctor-") as name:
        answer, log = Path(name) / "answer.json", Path(name) / "log.txt"
        began = time.monotonic()
        try:
            process = server.start(_measure, (str(answer),), log=log, environment={}, threads=1)  # as in a sweep
            process.join()
        except (OSError, RuntimeError) as error:
            return [Check("worker", "problem", f"cannot be started: {error}", "reinstall: see the message above")]
        found = read_json(answer)
        if found is None:
            said = f"ended with exit code {process.exitcode}: {last_line(log) or 'no message'}"
            return [Check("worker", "problem", said, "reinstall torch and pytorch-lightning with our constraints.txt")]
    return [started(found["begun"] - began), sees(found, resources.gpus()), precision_check(found)]


def started(seconds: float) -> Check:
    """The worker ran."""
    return Check("worker", "ok", f"the fork server started and forked a worker in {seconds:.1f} s")


def sees(found: Mapping[str, Any], gpus: int) -> Check:
    """What torch sees against what the driver shows."""
    said = f"{found['torch']} sees {found['gpus']} GPU(s); {found['device']}, {found['threads']} thread(s)"
    if found["gpus"] < gpus:
        fix = "install the torch build for your driver, or use trainer=cpu"
        return Check("torch", "problem", f"{said}, where the driver shows {gpus}", fix)
    return Check("torch", "ok", said)


def precision_check(found: Mapping[str, Any]) -> Check:
    """The precision to use on this machine; reslab's nets are always channels_last."""
    rates = found["rates"]
    fp32, bf16 = rates["fp32 channels_last"], rates["bf16-mixed channels_last"]
    best = "bf16-mixed" if bf16 > WORTH * fp32 else "fp32"
    layout = fp32 / rates["fp32 contiguous"]
    said = (
        f"recipe.precision={best} is the faster one here: bf16-mixed {bf16:,.0f} img/s, fp32 {fp32:,.0f} img/s "
        f"(x{bf16 / fp32:.2f}; small net, 32x32, batch 64); in fp32 channels_last is "
        f"{'faster' if layout >= 1 else 'slower'} than contiguous (x{layout:.2f})"
    )
    return Check("precision", "ok", said)


def _measure(answer: str) -> None:
    begun = time.monotonic()
    from reslab.launch.doctor.fastest import measure

    write_json(Path(answer), {"begun": begun, **measure()})
