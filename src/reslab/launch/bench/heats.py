"""What a benchmark of steps does in worker processes, where runs train, too: it races, weighs, measures the machine."""

import logging
import os
import re
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reslab.launch.bench import gates, limits
from reslab.launch.bench.contestants import Contestant, Track, make
from reslab.launch.bench.race import Course, race
from reslab.runs.folder import write_json

WORKERS = (0, 1, 2)  # of the usual trainer
MIB = 2**20


def heat(course: Course, names: Sequence[str], repeats: int, path: str) -> None:
    """Gates first, then a race of all `names`; the file at `path` holds seconds per step and what they are made of."""
    _quiet()
    track = Track(course)
    field: dict[str, Contestant] = {name: make(track, name) for name in names if not name.startswith("usual")}
    passed = gates.check(track, field)
    swept = _sweep(track) if any(_loads(name) for name in names) else {0: 0.0}
    track.workers = min(swept, key=lambda workers: swept[workers])
    field |= {name: make(track, name) for name in names if _loads(name)}
    first = {}
    for name, contestant in field.items():
        began = time.perf_counter()
        contestant.turn()
        first[name] = time.perf_counter() - began
    config = track.job("fp32").config
    data = track.data()
    write_json(
        Path(path),
        {
            "seconds": race({name: field[name].turn for name in names}, repeats),
            "first_turn": first,
            "gates": [vars(gate) for gate in passed],
            "workers": swept,
            **{"batch": data.plan.batch, "macs": config["run"]["macs"], "threads": torch.get_num_threads()},
            "elements": _elements(field[names[-1]].net, data.batch(0)[0][:1]),
        },
    )


def memory(course: Course, name: str, workers: int, path: str) -> None:
    """MiB that one contestant adds at its peak to what a worker process has anyway; its own workers not counted."""
    _quiet()
    before = _resident("VmRSS")
    contestant = make(Track(course, workers), name)
    contestant.turn()
    write_json(Path(path), {"memory": _resident("VmHWM") - before})


def machine(path: str) -> None:
    """FLOP/s of convolutions by precision, bytes per second of a copy."""
    found: dict[str, Any] = {name: limits.convolution(dtype) for name, dtype in DTYPES.items()}
    write_json(Path(path), found | {"copy": limits.copy(), "capability": torch.backends.cpu.get_cpu_capability()})


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def _loads(name: str) -> bool:
    return name.startswith("usual") or "loader" in name


def _sweep(track: Track) -> dict[int, float]:
    """Seconds per step of the usual trainer by its worker processes, one turn each."""
    found = {}
    for workers in WORKERS:
        track.workers = workers
        found[workers] = make(track, "usual fp32").turn()
    return found


def _elements(net: nn.Module, image: Tensor) -> int:
    """Numbers that all convolutions put out for one image."""
    sizes: list[int] = []
    hooks = [
        module.register_forward_hook(lambda module, args, out: sizes.append(out.numel()))
        for module in net.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        net.eval()(image)
    for hook in hooks:
        hook.remove()
    return sum(sizes)


def _resident(which: str) -> float:
    text = Path(f"/proc/{os.getpid()}/status").read_text()
    found = re.search(rf"{which}:\s+(\d+) kB", text)
    assert found, "Linux"
    return int(found[1]) * 1024 / MIB


def _quiet() -> None:
    """As a run does: no hardware list, no advertisements."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
