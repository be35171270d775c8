"""What a training step holds by theory: activations that its graph keeps, gradients and momenta. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from reslab.specs import ActAt, ConvShape, NetSpec, NormAt, Ops, Resize, Unit, cost

Segments = Callable[[int], list[range]]
"""How a stage of so many units is cut."""


@dataclass(frozen=True)
class Activation:
    """A tensor on its way through a net: numbers of one image, and which one it is."""

    numbers: int
    place: int


Kept = frozenset[Activation]


@dataclass(frozen=True)
class Graph:
    """What the parts of a net keep for the way back; a unit is what enters it and what it keeps."""

    stem: Kept
    stages: tuple[tuple[tuple[Activation, Kept], ...], ...]
    head: Kept


class Walk:
    """One image on its way: its channels, its side, and the activation that holds it now."""

    def __init__(self, spec: NetSpec) -> None:
        """Before the stem."""
        self._normed = spec.choices.norm.weights(spec.features) > 0
        self._places = count()
        self.channels, self.size = spec.image.channels, spec.image.size
        self.step()

    def step(self) -> None:
        """The next activation."""
        self.now = Activation(self.channels * self.size**2, next(self._places))

    def through(self, ops: Ops) -> Kept:
        """Go through a chain. Convolutions and norms keep their input, ReLU its output. ValueError for other layers."""
        kept = set()
        for op in ops:
            match op:
                case ConvShape():
                    kept.add(self.now)
                    self.channels, self.size = op.c_out, self.size // op.stride
                    self.step()
                case Resize():
                    self.channels, self.size = op.c_out, self.size // op.stride
                    self.step()
                case NormAt() if self._normed:
                    kept.add(self.now)
                    self.step()
                case NormAt():
                    pass
                case ActAt():
                    self.step()
                    kept.add(self.now)
                case _:
                    raise ValueError(f"what {op} keeps is not known; net=cifar with the blocks of ours is")
        return frozenset(kept)

    def unit(self, unit: Unit) -> tuple[Activation, Kept]:
        """Go through a unit; its sum keeps nothing."""
        entered, channels, size = self.now, self.channels, self.size
        kept = self.through(unit.before)
        activated = self.now
        kept |= self.through(unit.branch)
        if unit.shortcut is not None:
            self.now, self.channels, self.size = (
                activated if unit.shortcut_reads_activated else entered,
                channels,
                size,
            )
            kept |= self.through(unit.shortcut)
            self.step()
        return entered, kept | self.through(unit.after)


def graph(spec: NetSpec) -> Graph:
    """What is kept where, for one image; ValueError for a net with layers that are not known."""
    walk = Walk(spec)
    stem = walk.through(spec.stem)
    stages = tuple(tuple(walk.unit(unit) for unit in stage) for stage in spec.stages)
    return Graph(stem, stages, walk.through(spec.head))


def activations(spec: NetSpec, segments: Segments | None = None) -> int:
    """Numbers of one image that are kept at most at a time: all, or what enters segments and the whole of one.

    Segments that the way back has left behind hold nothing any more.
    """
    found = graph(spec)
    ends = spec.features + spec.image.classes  # what the classifier and the loss keep
    if segments is None:
        units = [kept for stage in found.stages for _, kept in stage]
        return _numbers(found.stem.union(*units, found.head)) + ends
    held, most = found.stem, 0
    for stage in found.stages:
        for part in segments(len(stage)):
            held |= {stage[part.start][0]}
            most = max(most, _numbers(held.union(*(stage[at][1] for at in part))))
    return max(most, _numbers(held | found.head) + ends)


def step_bytes(spec: NetSpec, batch: int, segments: Segments | None = None) -> int:
    """Bytes that a step adds to a net in fp32: activations, and a gradient and a momentum for every weight."""
    counts = cost(spec)
    assert counts is not None, "the walk refuses users' layers"
    return 4 * (batch * activations(spec, segments) + 2 * counts.params)


def _numbers(kept: Kept) -> int:
    return sum(one.numbers for one in kept)
