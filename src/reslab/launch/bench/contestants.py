"""Who takes part in a race of training steps, by name, each built on its own: one net, one optimiser, one way to train.

`usual`, `naive` and `strong` are loops of `rivals`; `ours` is the product, `alone` its step function without Lightning;
further words are for what is different: features of ours that are off, means that a strong loop could take.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from reslab.data.module import ImageData
from reslab.launch.bench import ours, rivals, usual
from reslab.launch.bench.looks import Stopwatch
from reslab.launch.bench.race import Course, Turn
from reslab.launch.build import build_data, build_net
from reslab.launch.freeze import Job

T = TypeVar("T")

PRECISIONS = {"fp32": "fp32", "bf16": "bf16-mixed"}
LOADED = ("usual", "loader")
SHORTER = {**dict.fromkeys((*LOADED, "naive"), 8), **dict.fromkeys(("strong", "uncaptured"), 4)}
"""On a GPU the host holds these up: turns of so many times fewer steps do not hold up the race."""
WARM_ENOUGH = 20  # steps before the clock of such a turn: the first one of all, which does not count, was another


@dataclass(frozen=True)
class Contestant:
    """Its net, one turn, and the losses of its first steps from the initial weights (a fresh contestant's).

    For the latter everyone trains on the batches of the plan, and makes one step more than it is asked for: ours tells
    no loss of its last.
    """

    net: nn.Module
    turn: Turn
    losses: Callable[[int], list[float]]


@dataclass
class Track:
    """A course with what its contestants share: the watch, the data, and the worker processes of the usual trainer."""

    course: Course
    workers: int = 0
    _data: list[ImageData] = field(default_factory=list)
    _resident: list[rivals.Resident] = field(default_factory=list)
    _jobs: dict[tuple[str, ...], Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """One watch for all."""
        self.device = torch.device(self.course.device)
        self.watch = Stopwatch(self.device)

    def length(self, words: Sequence[str]) -> dict[str, int]:
        """Steps before the clock runs and while it does, in a turn of the contestant of these words."""
        warm, steps = self.course.warm, self.course.steps
        part = max(SHORTER.get(word, 1) for word in words)
        if self.device.type == "cpu" or part == 1 or "graphs" in words or "compiled" in words:
            return {"warm": warm, "steps": steps}
        return {"warm": min(warm, WARM_ENOUGH), "steps": max(1, steps // part)}

    def job(self, words: Sequence[str] = ("fp32",)) -> Job:
        """The frozen run of ours of a precision, and what may be off in it."""
        full = [*self.course.words, f"recipe.precision={PRECISIONS[words[0]]}"]
        if "uncaptured" in words or "loader" in words:  # no graph can ask a loader for its batches
            full.append("trainer.cuda_graph=false")
        elif self.device.type == "cuda":
            full.append("trainer.cuda_graph=true")  # the clock is a callback, which auto would not leave out
        if "compiled" in words:
            full.append("trainer.compile=true")
        steps = sum(self.length(words).values()) + 1
        key = (*full, str(steps))
        if key not in self._jobs:
            self._jobs[key] = ours.job(full, steps=steps, outputs=self.course.outputs, device=self.device)
        return self._jobs[key]

    def data(self) -> ImageData:
        """The data of ours in the host's memory, for all to take theirs from."""
        if not self._data:
            self._data.append(build_data(self.job().config, (1,)))
            self._data[0].setup()
        return self._data[0]

    def resident(self) -> rivals.Resident:
        """The same for rivals, on the device."""
        data = self.data()
        assert data.train is not None
        if not self._resident:
            plan = data.plan
            images, labels = data.train.images.to(self.device), data.train.labels.to(self.device)
            norm = data.normalisation.to(self.device)
            self._resident.append(rivals.Resident(images, labels, norm, plan.epoch(0), batch=plan.batch, pad=plan.pad))
        return self._resident[0]

    def pictures(self) -> usual.Pictures:
        """The same, picture by picture."""
        data = self.data()
        assert data.train is not None
        images = data.train.images.permute(0, 2, 3, 1).contiguous().numpy()
        mean, std = data.normalisation.mean, data.normalisation.std
        pad, flip = data.plan.pad, data.plan.flip
        return usual.Pictures(images, data.train.labels.numpy(), mean=mean, std=std, pad=pad, flip=flip)

    def loader(self) -> Callable[[], Iterator[list[Tensor]]]:
        """The usual trainer's batches."""
        return partial(usual.endless, self.pictures(), self.data().plan.batch, self.workers, self.device)


def make(track: Track, name: str) -> Contestant:
    """The contestant of that name: KIND PRECISION, then words for what is different about it."""
    kind, *words = name.split(" ")
    kinds = {"usual": _usual, "naive": _naive, "strong": _strong, "ours": _ours, "alone": _alone}
    made = kinds[kind](track, words)
    return _within(partial(_tuned, kind), made)


def _usual(track: Track, words: Sequence[str]) -> Contestant:
    net, length = _rival(track), track.length(("usual", *words))
    length["warm"] = max(length["warm"], 2 * track.workers)  # what workers prepared before must be used up
    loop = rivals.Loop(
        net, _sgd(track, net), track.loader(), track.watch, warm=length["warm"], steps=length["steps"], looks=True
    )

    def losses(steps: int) -> list[float]:
        return loop.losses(steps, rivals.stream(rivals.naive_batches(track.resident())))  # it draws its own numbers

    return Contestant(net, loop.turn, losses)


def _naive(track: Track, words: Sequence[str]) -> Contestant:
    net = _rival(track)
    batches = rivals.stream(rivals.naive_batches(track.resident()))
    length = track.length(("naive", *words))
    loop = rivals.Loop(net, _sgd(track, net), batches, track.watch, warm=length["warm"], steps=length["steps"])
    return Contestant(net, loop.turn, loop.losses)


def _strong(track: Track, words: Sequence[str]) -> Contestant:
    mixed = words[0] == "bf16"
    net = _rival(track).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs
    batches = rivals.stream(rivals.strong_batches(track.resident(), torch.bfloat16 if mixed else torch.float32))
    optimiser = _sgd(track, net, fused="foreach" not in words)
    forward, length = _compiled(net, words), track.length(("strong", *words))
    warm, steps = length["warm"], length["steps"]
    loop = rivals.Loop(net, optimiser, batches, track.watch, warm=warm, steps=steps, mixed=mixed, forward=forward)
    made = Contestant(net, loop.turn, loop.losses)
    if "rounded" in words:
        return _within(rivals.rounded, made)
    return _within(partial(rivals.blockwise, net), made) if "blocks" in words else made


def _compiled(net: nn.Module, words: Sequence[str]) -> Callable[[Tensor], Tensor] | None:
    """The net compiled as a whole, on a GPU also recorded as CUDA graphs by torch; None where it is neither."""
    if "compiled" in words:
        return torch.compile(net, dynamic=False)
    if "graphs" not in words:
        return None
    compiled = torch.compile(net, dynamic=False, mode="reduce-overhead")

    def forward(images: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        logits: Tensor = compiled(images)
        return logits

    return forward


def _ours(track: Track, words: Sequence[str]) -> Contestant:
    most = 1 if "slices" in words else track.course.steps
    found = ours.Ours(track.job(words), track.watch, **track.length(words), most=most)
    if "nchw" in words:
        found.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # absent from its stubs
        found.net.register_forward_pre_hook(lambda net, args: (args[0].contiguous(),))
    turn = partial(_turn_from_loader, found, track.loader()) if "loader" in words else found.turn
    return Contestant(found.net, turn, found.losses)


def _alone(track: Track, words: Sequence[str]) -> Contestant:
    found = ours.Alone(track.job(words), track.watch, **track.length(words), most=track.course.steps)
    return Contestant(found.module.net, found.turn, found.losses)


def _turn_from_loader(found: ours.Ours, batches: Callable[[], Iterator[list[Tensor]]]) -> float:
    """A turn of ours whose batches come from the usual trainer's worker processes."""
    stream = batches()

    def batch(step: int) -> tuple[Tensor, Tensor]:
        images, labels = next(stream)
        return images.contiguous(memory_format=torch.channels_last), labels

    found.data.batch = batch
    try:
        return found.turn()
    finally:
        del found.data.batch  # and with it the processes, which would prepare batches beside the next contestant


def _within(context: Callable[[], AbstractContextManager], made: Contestant) -> Contestant:
    """The same, and all that it trains is trained within such a context."""

    def inside(work: Callable[..., T], *arguments: Any) -> T:
        with context():
            return work(*arguments)

    return Contestant(made.net, partial(inside, made.turn), partial(inside, made.losses))


@contextmanager
def _tuned(kind: str) -> Iterator[None]:
    """CuDNN tries its kernels first for a strong loop; runs of ours do so where they record."""
    cudnn: Any = torch.backends.cudnn
    before, cudnn.benchmark = cudnn.benchmark, kind == "strong"
    try:
        yield
    finally:
        cudnn.benchmark = before


def _rival(track: Track) -> rivals.CifarNet:
    """A rival's net with the initial weights of ours."""
    config = track.job().config
    data = config["data"]
    net = rivals.CifarNet(config["depth"], width=config["width"], channels=data["channels"], classes=data["classes"])
    rivals.take_weights(net, build_net(config))
    net.to(track.device)
    return net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # absent from its stubs


def _sgd(track: Track, net: nn.Module, *, fused: bool = False) -> torch.optim.Optimizer:
    """The recipe's, at the rate of its first steps."""
    recipe = track.job().config["recipe"]
    lr = recipe["lr"] * (recipe["warmup"]["factor"] if recipe["warmup"]["steps"] else 1.0)
    decay, momentum = recipe["weight_decay"], recipe["optimiser"]["momentum"]
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum, weight_decay=decay, fused=fused or None)
