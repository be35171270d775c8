"""What must be true before any timing counts: all contestants train the same net on the same images."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reslab.launch.bench.contestants import Contestant, Track
from reslab.launch.bench.race import Course
from reslab.launch.build import build_net

STEPS = 5
LOGITS, IMAGES = 1e-5, 1e-5
GPU_LOGITS = 1e-3
"""More, since cuDNN's kernels for the two orders of memory add in other orders."""
OTHERWISE = ("rounded", "compiled", "blocks", "graphs", "nchw")
"""Words of those whose kernels are others, and round to bf16 elsewhere."""
EXACT, ROUNDED, ROUNDED_OTHERWISE = "fp32", "bf16", "bf16 by other kernels"
LOSSES = {EXACT: 1e-3, ROUNDED: 5e-3, ROUNDED_OTHERWISE: 1e-2}
GPU_LOSSES = {EXACT: 1e-2, ROUNDED: 5e-2, ROUNDED_OTHERWISE: 5e-2}
"""More again, since in training cuDNN may use TF32."""
WAYS = {EXACT: 0.25, ROUNDED: 0.75, ROUNDED_OTHERWISE: 0.75}
GPU_WAYS = dict.fromkeys(WAYS, 0.75)
"""Of the way that weights have gone: rounding grows with depth, to 0.4 in bf16 at depth 110. Not to move is 1."""


@dataclass(frozen=True)
class Gate:
    """One comparison: the largest difference found, and what is allowed."""

    name: str
    found: float
    most: float


def check(track: Track, field: Mapping[str, Contestant]) -> list[Gate]:
    """Gates of nets and images, before anything is trained; RuntimeError for one that is shut."""
    return hold([_parameters(field), *_logits(track, field), _pictures(track)])


def trained(track: Track, field: Mapping[str, Contestant], losses: Mapping[str, list[float]]) -> list[Gate]:
    """Gates of the first steps on identical batches, all against ours through Lightning; RuntimeError as before.

    `losses` are those that the contestants have told, and their nets are as they were left then.
    """
    start = _weights(build_net(track.job().config))
    ways = {name: _weights(one.net) - start for name, one in field.items()}
    gpu, gates = track.device.type == "cuda", []
    for group, most in (GPU_LOSSES if gpu else LOSSES).items():
        names = [name for name in field if name != _own(name) and _group(name) == group]
        if not names:
            continue
        who = f"{', '.join(names)} against {', '.join(dict.fromkeys(map(_own, names)))}"
        apart = [loss / own - 1 for name in names for loss, own in zip(losses[name], losses[_own(name)], strict=True)]
        said = f"losses of the first {len(losses[names[0]])} steps of {who}: largest difference"
        gates.append(Gate(said, _worst(apart), most))
        aside = [float((ways[name] - ways[_own(name)]).norm() / ways[_own(name)].norm()) for name in names]
        said = f"weights after them, how far from those of {who}, over the way that those have gone"
        gates.append(Gate(said, _worst(aside), (GPU_WAYS if gpu else WAYS)[group]))
    return hold(gates)


def moved(turns: Mapping[str, bool]) -> Gate:
    """The gate of first turns, which must change every parameter of the contestant's net; RuntimeError as before."""
    idle = ", ".join(name for name, trains in turns.items() if not trains)
    said = f"first turns of {len(turns)} nets that leave parameters as they were{': ' if idle else ''}{idle}"
    return hold([Gate(said, float(sum(not trains for trains in turns.values())), 0.0)])[0]


def hold(gates: list[Gate]) -> list[Gate]:
    """The same; RuntimeError for one that is shut."""
    for gate in gates:
        if not gate.found <= gate.most:
            raise RuntimeError(f"the contestants do not train the same: {gate.name} {gate.found:.3g} > {gate.most:g}")
    return gates


def steps(course: Course) -> int:
    """How many losses are compared: of a turn and a step, one step more than those is made."""
    return min(STEPS, course.warm + course.steps)


def _own(name: str) -> str:
    """Which of ours a contestant is compared with."""
    return f"ours {name.split(' ')[1]}"


def _group(name: str) -> str:
    """How it rounds."""
    _, precision, *words = name.split(" ")
    if precision == "fp32" and "rounded" not in words:
        return EXACT
    return ROUNDED_OTHERWISE if any(word in OTHERWISE for word in words) else ROUNDED


def _weights(net: nn.Module) -> Float[Tensor, " n"]:
    return torch.cat([p.detach().cpu().flatten() for p in net.parameters()])


def _worst(differences: Sequence[float]) -> float:
    """The largest one, whatever its sign; nan where one is."""
    return float(torch.tensor(differences).abs().max())


def _parameters(field: Mapping[str, Contestant]) -> Gate:
    counts = [sum(p.numel() for p in one.net.parameters()) for one in field.values()]
    return Gate(f"parameters of {len(counts)} nets, largest difference", float(max(counts) - min(counts)), 0.0)


def _logits(track: Track, field: Mapping[str, Contestant]) -> list[Gate]:
    """In fp32, relative to the largest logit; also with the statistics of the batch, as in training."""
    images = track.data().batch(0)[0][:32].to(track.device)
    most = GPU_LOGITS if track.device.type == "cuda" else LOGITS
    gates = []
    for training, mode in ((False, "evaluating"), (True, "training")):
        found = []
        for one in field.values():
            one.net.to(track.device)  # Lightning leaves nets on the CPU
            before = {name: value.clone() for name, value in one.net.named_buffers()}
            one.net.train(training)
            with torch.no_grad(), _without_tf32():
                found.append(one.net(images))
            one.net.train()
            for name, value in one.net.named_buffers():
                value.copy_(before[name])
        first = found[0]
        worst = _worst([float((other - first).abs().max() / first.abs().max()) for other in found])
        gates.append(Gate(f"logits of {len(found)} nets in fp32, {mode}: largest difference", worst, most))
    return gates


@contextmanager
def _without_tf32() -> Iterator[None]:
    """On a GPU, convolutions in the block that round nothing."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _pictures(track: Track) -> Gate:
    """The usual trainer draws its own numbers, so its images are compared as they are before they are moved."""
    pictures, data = track.pictures(), track.data()
    assert data.train is not None
    pictures.pad, pictures.flip = 0, False
    rows = range(min(16, len(pictures)))
    theirs = torch.stack([pictures[row][0] for row in rows])
    worst = float((theirs - data.normalisation(data.train.images[: len(rows)])).abs().max())
    return Gate("images of the usual trainer, not augmented: largest difference", worst, IMAGES)
