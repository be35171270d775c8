"""What must be true before any timing counts: all contestants train the same net on the same images."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from reslab.launch.bench.contestants import Contestant, Track

STEPS = 5
LOGITS, LOSSES, ROUNDED, IMAGES = 1e-5, 1e-3, 5e-2, 1e-5
GPU_LOGITS, GPU_LOSSES = 1e-3, 1e-2
"""More, since cuDNN's kernels for the two orders of memory add in other orders, and in training they may use TF32."""


@dataclass(frozen=True)
class Gate:
    """One comparison: the largest difference found, and what is allowed."""

    name: str
    found: float
    most: float


def check(track: Track, field: Mapping[str, Contestant]) -> list[Gate]:
    """All gates, the contestants fresh; RuntimeError for one that is shut. It leaves them a few steps trained."""
    gates = [_parameters(field), *_logits(track, field), *_losses(track, field), _pictures(track)]
    for gate in gates:
        if not gate.found <= gate.most:
            raise RuntimeError(f"the contestants do not train the same: {gate.name} {gate.found:.3g} > {gate.most:g}")
    return gates


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
        worst = max(float((other - first).abs().max() / first.abs().max()) for other in found)
        gates.append(Gate(f"logits of {len(found)} nets in fp32, {mode}: largest difference", worst, most))
    return gates


def _losses(track: Track, field: Mapping[str, Contestant]) -> list[Gate]:
    """Relative, over the first steps on identical batches; the rivals' loops against ours through Lightning."""
    gates, steps = [], min(STEPS, track.course.warm + track.course.steps)
    exact = GPU_LOSSES if track.device.type == "cuda" else LOSSES
    for precision, most in (("fp32", exact), ("bf16", ROUNDED)):
        kinds = (f"naive {precision}", f"strong {precision}", f"ours {precision} compiled", f"ours {precision}")
        names = [name for name in kinds if name in field]
        if len(names) < 2:
            continue
        losses = [field[name].losses(steps) for name in names]
        worst = max(abs(loss / own - 1) for other in losses for loss, own in zip(other, losses[-1], strict=True))
        who = ", ".join(names)
        gates.append(Gate(f"losses of the first {steps} steps of {who}: largest difference", worst, most))
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
