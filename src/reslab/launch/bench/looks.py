"""The clock of a turn, and a closer look at one: waits of the host, launches, the device's memory. See `heats`."""

import json
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

LOOKED = 10  # steps of a closer look; a slice of ours ends a look, so that it can be longer
WAITED = "synchronizing CUDA operation"  # torch's warning where the host waits for the device
CALLS = ("cuda_runtime", "cuda_driver")
KERNELS = ("cudaLaunchKernel", "cudaLaunchCooperativeKernel", "cuLaunchKernel", "cuLaunchCooperativeKernel")
GRAPHS = ("cudaGraphLaunch", "cuGraphLaunch")
MIB = 2**20


class Stopwatch:
    """The clock of a turn's timed steps: a GPU is waited for at its start and at its stop, and nowhere in between."""

    def __init__(self, device: torch.device) -> None:
        """Nothing runs; with a `lens` a turn is looked at instead of timed."""
        self.device, self._began = device, 0.0
        self.lens: Lens | None = None

    def steps(self, own: int) -> int:
        """How many steps are to be timed where a turn has so many; fewer under a lens."""
        return own if self.lens is None else min(own, LOOKED)

    def start(self) -> None:
        """The first of them is next."""
        self._wait()
        if self.lens is not None:
            self.lens.open()
        self._began = time.perf_counter()

    def stop(self, steps: int) -> float:
        """Seconds of each of these steps."""
        if self.lens is not None:
            self.lens.close(steps)
        self._wait()
        return (time.perf_counter() - self._began) / steps

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class Lens:
    """Counts, per step, how often the host waits for a GPU, and which kernels and graphs it launches."""

    def __init__(self, device: torch.device) -> None:
        """`found` is empty until a turn was looked at."""
        self._gpu, self._stack = device.type == "cuda", ExitStack()
        self.found: dict[str, float] = {}

    def open(self) -> None:
        """Begin to count."""
        self._warned = self._stack.enter_context(warnings.catch_warnings(record=True))
        activity = ProfilerActivity.CUDA if self._gpu else ProfilerActivity.CPU
        self._profiler = self._stack.enter_context(profile(activities=[activity]))
        warnings.simplefilter("always")
        if self._gpu:
            torch.cuda.set_sync_debug_mode("warn")
            self._stack.callback(torch.cuda.set_sync_debug_mode, "default")

    def close(self, steps: int) -> None:
        """Divide by the steps since then."""
        self.leave()
        said = [str(warning.message) for warning in self._warned or ()]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            self._profiler.export_chrome_trace(str(path))
            events = json.loads(path.read_text(errors="replace"))["traceEvents"]
        self.found = {name: number / steps for name, number in {"syncs": waits(said), **launches(events)}.items()}

    def leave(self) -> None:
        """Leave torch as it was, whatever has happened."""
        self._stack.close()


def waits(said: Sequence[str]) -> int:
    """How many warnings are those of a host that waits for its device."""
    return sum(WAITED in message for message in said)


def launches(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Kernels and graphs that the host has launched, by the calls to CUDA in a trace of torch's profiler."""
    calls = [str(event.get("name", "")) for event in events if event.get("cat") in CALLS]
    return {"kernels": sum(c.startswith(KERNELS) for c in calls), "graphs": sum(c.startswith(GRAPHS) for c in calls)}


def look(watch: Stopwatch, turn: Callable[[], float]) -> dict[str, float]:
    """A turn of its own, looked at: syncs, kernels and graphs per step; on a GPU also its peak in MiB.

    The peak is beyond what was allocated as the turn began: weights and images that are kept between turns.
    """
    watch.lens = lens = Lens(watch.device)
    try:
        peak = memory(watch.device, turn)[1]
    finally:
        watch.lens = None
        lens.leave()
    return lens.found | {"memory": peak}


def memory(device: torch.device, turn: Callable[[], float]) -> tuple[float, float]:
    """What a turn gives, and the MiB on a GPU at its peak, beyond those allocated before; 0 on a CPU."""
    if device.type != "cuda":
        return turn(), 0.0
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    given = turn()
    return given, (torch.cuda.max_memory_allocated(device) - before) / MIB
