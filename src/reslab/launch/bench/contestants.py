"""Who takes part in a race of training steps, by name, each built on its own: one net, one optimiser, one way to train.

`usual`, `naive` and `strong` are loops of `rivals`; `ours` is the product, `alone` its step function without Lightning;
`without ...` is `ours` in the best precision with one feature off.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from reslab.data.module import ImageData
from reslab.launch.bench import ours, rivals, usual
from reslab.launch.bench.race import Course, Turn
from reslab.launch.build import build_data, build_net
from reslab.launch.freeze import Job

PRECISIONS = {"fp32": "fp32", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Contestant:
    """Its net, one turn, and the losses of its first steps from the initial weights (a fresh contestant's)."""

    net: nn.Module
    turn: Turn
    losses: Callable[[int], list[float]]


@dataclass
class Track:
    """A course with what its contestants share: the data in memory, and the worker processes of the usual trainer."""

    course: Course
    workers: int = 0
    _data: list[ImageData] = field(default_factory=list)
    _jobs: dict[str, Job] = field(default_factory=dict)

    def job(self, precision: str) -> Job:
        """The frozen run of ours."""
        if precision not in self._jobs:
            words, total = self.course.words, self.course.warm + self.course.steps + 1
            full = (*words, f"recipe.precision={PRECISIONS[precision]}")
            self._jobs[precision] = ours.job(full, steps=total, outputs=self.course.outputs)
        return self._jobs[precision]

    def data(self) -> ImageData:
        """The data of ours, for all to take theirs from."""
        if not self._data:
            self._data.append(build_data(self.job("fp32").config, (1,)))
            self._data[0].setup()
        return self._data[0]

    def resident(self) -> rivals.Resident:
        """The same for rivals."""
        data = self.data()
        assert data.train is not None
        plan = data.plan
        images, labels, norm = data.train.images, data.train.labels, data.normalisation
        return rivals.Resident(images, labels, norm, plan.epoch(0), batch=plan.batch, pad=plan.pad)

    def pictures(self) -> usual.Pictures:
        """The same, picture by picture."""
        data = self.data()
        assert data.train is not None
        images = data.train.images.permute(0, 2, 3, 1).contiguous().numpy()
        mean, std = data.normalisation.mean, data.normalisation.std
        pad, flip = data.plan.pad, data.plan.flip
        return usual.Pictures(images, data.train.labels.numpy(), mean=mean, std=std, pad=pad, flip=flip)

    def loader(self, workers: int) -> Callable[[], Iterator[list[Tensor]]]:
        """The usual trainer's batches, from so many worker processes."""
        return partial(usual.endless, self.pictures(), self.data().plan.batch, workers)


def make(track: Track, name: str) -> Contestant:
    """The contestant of that name: KIND PRECISION, then words for what is different about it."""
    kind, *words = name.split(" ")
    return {"usual": _usual, "naive": _naive, "strong": _strong, "ours": _ours, "alone": _alone}[kind](track, words)


def _usual(track: Track, words: Sequence[str]) -> Contestant:
    net = _rival(track)
    warm = max(track.course.warm, 2 * track.workers)  # what workers prepared before the clock runs must be used up
    loop = rivals.Loop(
        net, _sgd(track, net), track.loader(track.workers), warm=warm, steps=track.course.steps, looks=True
    )
    return Contestant(net, loop.turn, loop.losses)


def _naive(track: Track, words: Sequence[str]) -> Contestant:
    net = _rival(track)
    batches = rivals.stream(rivals.naive_batches(track.resident()))
    loop = rivals.Loop(net, _sgd(track, net), batches, warm=track.course.warm, steps=track.course.steps)
    return Contestant(net, loop.turn, loop.losses)


def _strong(track: Track, words: Sequence[str]) -> Contestant:
    mixed = words[0] == "bf16"
    net = _rival(track).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs
    batches = rivals.strong_batches(track.resident(), torch.bfloat16 if mixed else torch.float32)
    forward = torch.compile(net, dynamic=False) if "compiled" in words else None
    optimiser = _sgd(track, net, fused="foreach" not in words)
    loop = rivals.Loop(
        net,
        optimiser,
        rivals.stream(batches),
        warm=track.course.warm,
        steps=track.course.steps,
        mixed=mixed,
        forward=forward,
    )
    turn = _rounded(loop.turn) if "rounded" in words else loop.turn
    return Contestant(net, partial(_blockwise, net, turn) if "blocks" in words else turn, loop.losses)


def _ours(track: Track, words: Sequence[str]) -> Contestant:
    course = track.course
    longest = 1 if "slices" in words else course.longest
    found = ours.Ours(track.job(words[0]), warm=course.warm, steps=course.steps, longest=longest)
    turn = found.turn
    if "channels_last" in words:
        found.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # absent from its stubs
        found.net.register_forward_pre_hook(lambda net, args: (args[0].contiguous(),))
    if "resident" in words:
        turn = partial(_turn_from_loader, found, track.loader(track.workers))
    return Contestant(found.net, turn, found.losses)


def _alone(track: Track, words: Sequence[str]) -> Contestant:
    course = track.course
    found = ours.Alone(track.job(words[0]), warm=course.warm, steps=course.steps, longest=course.longest)
    return Contestant(found.module.net, found.turn, lambda steps: [])


def _turn_from_loader(found: ours.Ours, batches: Callable[[], Iterator[list[Tensor]]]) -> float:
    """A turn of ours whose batches come from the usual trainer's worker processes."""
    stream = batches()

    def batch(step: int) -> tuple[Tensor, Tensor]:
        images, labels = next(stream)
        return images.contiguous(memory_format=torch.channels_last), labels

    found.data.batch = batch
    return found.turn()


def _blockwise(net: rivals.CifarNet, turn: Turn) -> float:
    """A turn of a net whose blocks are compiled one by one; so is what they run in evaluation, hence not before."""
    for block in net.blocks:
        if block._compiled_call_impl is None:
            block.compile(dynamic=False)
    return turn()


def _rounded(turn: Turn) -> Turn:
    """A turn in which oneDNN may round the operands of fp32 convolutions to bf16 by itself."""

    def rounded() -> float:
        before = torch.backends.mkldnn.conv.fp32_precision  # type: ignore[attr-defined]  # absent from its stubs
        torch.backends.mkldnn.conv.fp32_precision = "bf16"  # type: ignore[attr-defined]  # the same
        try:
            return turn()
        finally:
            torch.backends.mkldnn.conv.fp32_precision = before  # type: ignore[attr-defined]  # the same

    return rounded


def _rival(track: Track) -> rivals.CifarNet:
    """A rival's net with the initial weights of ours."""
    config = track.job("fp32").config
    data = config["data"]
    net = rivals.CifarNet(config["depth"], width=config["width"], channels=data["channels"], classes=data["classes"])
    rivals.take_weights(net, build_net(config))
    return net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # absent from its stubs


def _sgd(track: Track, net: nn.Module, *, fused: bool = False) -> torch.optim.Optimizer:
    """The recipe's, at the rate of its first steps."""
    recipe = track.job("fp32").config["recipe"]
    lr = recipe["lr"] * (recipe["warmup"]["factor"] if recipe["warmup"]["steps"] else 1.0)
    decay, momentum = recipe["weight_decay"], recipe["optimiser"]["momentum"]
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum, weight_decay=decay, fused=fused or None)
