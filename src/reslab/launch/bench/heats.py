"""What a benchmark of steps does in worker processes, where runs train, too: it races, weighs, measures the machine."""

import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from reslab.launch.bench import gates, limits
from reslab.launch.bench.contestants import LOADED, Contestant, Track, make
from reslab.launch.bench.looks import MIB, look, memory
from reslab.launch.bench.race import SAID, Course, Turn, race, spread
from reslab.launch.build import build_net
from reslab.launch.resources import cores
from reslab.runs.folder import write_json

T = TypeVar("T")

WORKERS = (0, 1, 2, 4, 8)  # of the usual trainer, as far as there are cores
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def heat(course: Course, names: Sequence[str], repeats: int, path: str) -> None:
    """Gates for all `names`, then their race; the file at `path` holds seconds per step and what they are made of.

    A rival that cannot take part is left out, with its reason; without one of ours there is no race.
    """
    _quiet()
    track, field = Track(course), Field()
    swept = _sweep(track) if any(_loads(name) for name in names) else {0: 0.0}
    track.workers = min(swept, key=lambda workers: swept[workers])
    field.make(track, names)
    passed = field.through(track)
    _say(f"{len(passed)} gates passed")
    turns = {name: field.present[name].turn for name in names if name in field.present} | _least(track, names)
    seconds = race(turns, repeats)
    batch = track.data().plan.batch
    for name, taken in seconds.items():
        middle = spread(taken).middle
        _say(f"{name}: {1000 * middle:.3f} ms/step, {batch / middle:,.0f} img/s")
    config = track.job().config
    write_json(
        Path(path),
        {
            "seconds": seconds,
            "first_turn": field.first,
            "gates": [vars(gate) for gate in passed],
            "workers": swept,
            "left_out": field.left_out,
            "looks": field.looked(track) if track.device.type == "cuda" else {},
            **{"batch": batch, "macs": config["run"]["macs"], "threads": torch.get_num_threads()},
            "elements": _elements(build_net(config), track.data().batch(0)[0][:1]),
        },
    )


class Field:
    """The contestants that are able to take part, and why others are not."""

    def __init__(self) -> None:
        """Nobody yet."""
        self.present: dict[str, Contestant] = {}
        self.left_out: dict[str, str] = {}
        self.first: dict[str, float] = {}
        """Seconds of the first steps and the first turn: with whatever is compiled in them."""
        self._peaks: dict[str, float] = {}

    def make(self, track: Track, names: Iterable[str]) -> None:
        """Add these."""
        for name in names:
            try:
                self.present[name] = make(track, name)
            except Exception as error:
                self._leave_out(name, error)

    def through(self, track: Track) -> list[gates.Gate]:
        """All gates; everyone makes some first steps, and a first turn, which do not count."""
        passed, told = gates.check(track, self.present), {}
        for name, contestant in list(self.present.items()):
            losses = self._begin(track, name, partial(contestant.losses, gates.steps(track.course)))
            if losses is not None:
                told[name] = losses
        return [*passed, *gates.trained(track, self.present, told), gates.moved(self.warm(track))]

    def warm(self, track: Track) -> dict[str, bool]:
        """A first turn each: whether it has changed every parameter."""
        found = {}
        for name, contestant in list(self.present.items()):
            before = [p.detach().cpu().clone() for p in contestant.net.parameters()]
            if self._begin(track, name, contestant.turn) is not None:
                pairs = zip(before, contestant.net.parameters(), strict=True)
                found[name] = not any(torch.equal(old, new.detach().cpu()) for old, new in pairs)
                _say(f"{name}: first steps in {self.first[name]:.1f} s")
        return found

    def _begin(self, track: Track, name: str, work: Callable[[], T]) -> T | None:
        """What first steps give, with their time and peak; None for a rival that cannot make them."""
        began, given = time.perf_counter(), []

        def kept() -> float:
            given.append(work())
            return 0.0

        try:
            _, peak = memory(track.device, kept)
        except Exception as error:
            self._leave_out(name, error)
            return None
        self.first[name] = self.first.get(name, 0.0) + time.perf_counter() - began
        self._peaks[name] = max(self._peaks.get(name, 0.0), peak)
        return given[0]

    def looked(self, track: Track) -> dict[str, dict[str, float]]:
        """A last turn each, under a lens; what torch records as graphs takes its memory in its first steps alone."""
        found: dict[str, dict[str, float]] = {}
        for name, contestant in self.present.items():
            try:
                found[name] = look(track.watch, contestant.turn)
            except Exception as error:  # the times are known by now, whoever it is
                _say(f"{name} could not be looked at: {_reason(error)}")
                continue
            if "graphs" in name:
                found[name]["memory"] = self._peaks[name]
        return found

    def _leave_out(self, name: str, error: Exception) -> None:
        """Of a rival; raised again for ours."""
        if name.startswith(("ours", "alone")):
            raise error
        self.present.pop(name, None)
        self.left_out[name] = _reason(error)
        _say(f"{name} is left out: {_reason(error)}")


def _least(track: Track, names: Sequence[str]) -> dict[str, Turn]:
    """The convolutions alone in each precision of these; not on a GPU, where a bare loop of them waits for launches."""
    if track.device.type != "cpu":
        return {}
    config, images, length = track.job().config, track.data().batch(0)[0], track.length(("convolutions",))
    return {
        f"convolutions {name}": limits.convolutions(build_net(config), images, dtype, track.watch, **length)
        for name, dtype in DTYPES.items()
        if any(other.split(" ")[1] == name for other in names)
    }


def weigh(course: Course, name: str, workers: int, path: str) -> None:
    """MiB that one contestant adds at its peak to what a worker process has anyway; its own workers not counted."""
    _quiet()
    before = _resident("VmRSS")
    contestant = make(Track(course, workers), name)
    contestant.turn()
    write_json(Path(path), {"memory": _resident("VmHWM") - before})


def machine(device: str, path: str) -> None:
    """FLOP/s of convolutions by precision, bytes per second of a copy and its size, and the threads that did it."""
    where = torch.device(device)
    found: dict[str, Any] = {name: limits.convolution(dtype, where) for name, dtype in DTYPES.items()}
    found |= {"copy": limits.copy(where), "copied": limits.COPIED[where.type]}
    write_json(Path(path), found | {"capability": limits.capability(where), "threads": torch.get_num_threads()})


def _loads(name: str) -> bool:
    return any(word in LOADED for word in name.split(" "))


def _sweep(track: Track) -> dict[int, float]:
    """Seconds per step of the usual trainer by its worker processes, one turn each; without those that fail."""
    found = {}
    for workers in (count for count in WORKERS if count <= cores()):
        track.workers = workers
        try:
            found[workers] = make(track, "usual fp32").turn()
        except RuntimeError as error:  # of worker processes: little shared memory, say
            _say(f"usual fp32 with {workers} workers: {_reason(error)}")
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


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]


def _say(words: str) -> None:
    """For the parent, which reads the log, and passes such lines on."""
    print(f"{SAID}{words}", flush=True)


def _quiet() -> None:
    """As a run does: no hardware list, no advertisements."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
