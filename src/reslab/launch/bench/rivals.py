"""Training loops that know nothing of this project: the usual trainer, a naive one, and one as fast as we can make it.

Their net is written as everyone writes it (He 2015, section 4.2, option A), apart from `reslab.nets`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.data.normalise import Normalisation
from reslab.data.plan import Epoch
from reslab.launch.bench.looks import Stopwatch

Batch = tuple[Tensor, Tensor]


class Block(nn.Module):
    """conv norm relu conv norm, plus the input, relu; all in place where that is allowed."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        """Option A: a smaller and wider output takes every second pixel, and zeros as new channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.new, self.stride = c_out - c_in, stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """(n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.stride > 1 or self.new:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        out += x
        return F.relu(out, inplace=True)


class CifarNet(nn.Module):
    """ResNet-`depth` of He 2015, section 4.2: 6n + 2 layers in three stages of width, 2 width, 4 width."""

    def __init__(self, depth: int, *, width: int, channels: int, classes: int) -> None:
        """Weights are torch's until `take_weights`."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks, c_in = [], width
        for stage in range(3):
            for unit in range((depth - 2) // 6):
                blocks.append(Block(c_in, width * 2**stage, 2 if stage and not unit else 1))
                c_in = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(c_in, classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Normalised images to logits."""
        out = self.blocks(F.relu(self.bn1(self.conv1(images)), inplace=True))
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(out, 1), 1))


def take_weights(mine: nn.Module, theirs: nn.Module) -> None:
    """Copy all parameters and statistics, in the order of the layers; ValueError where the shapes differ."""
    state, other = mine.state_dict(), list(theirs.state_dict().values())
    if [value.shape for value in state.values()] != [value.shape for value in other]:
        raise ValueError("the two nets have other parameters")
    mine.load_state_dict(dict(zip(state, other, strict=True)))


class Resident:
    """Training images in memory, and the plan of one epoch: which image at which place, moved and flipped how."""

    def __init__(
        self,
        images: UInt8[Tensor, "n c h w"],
        labels: Int64[Tensor, " n"],
        normalise: Normalisation,
        epoch: Epoch,
        *,
        batch: int,
        pad: int,
    ) -> None:
        """The plan is that of our own runs, so that all see the same batches; it goes where the images are."""
        self.images, self.labels, self.normalise, self.batch, self.pad = images, labels, normalise, batch, pad
        parts = [torch.from_numpy(np.ascontiguousarray(part)).to(images.device) for part in epoch]
        self.order, self.dy, self.dx, self.flip = parts

    def rows(self, step: int) -> slice:
        """Where the batch of a step is in the plan; the epoch begins anew at its end."""
        at = step % (len(self.order) // self.batch)
        return slice(at * self.batch, (at + 1) * self.batch)


def naive_batches(data: Resident) -> Callable[[int], Batch]:
    """Floats in NCHW, padded and cut out image by image in every batch."""
    images = data.normalise(data.images.contiguous())

    def batch(step: int) -> Batch:
        at = data.rows(step)
        order = data.order[at]
        x = images[order]
        if data.pad:
            wide, size = F.pad(x, (data.pad,) * 4), x.shape[-1]
            offsets = zip(data.dy[at].tolist(), data.dx[at].tolist(), data.flip[at].tolist(), strict=True)
            cut = [(wide[i, :, y : y + size, x : x + size], mirror) for i, (y, x, mirror) in enumerate(offsets)]
            x = torch.stack([window.flip(2) if mirror else window for window, mirror in cut])
        return x, data.labels[order]

    return batch


def strong_batches(data: Resident, dtype: torch.dtype) -> Callable[[int], Batch]:
    """Normalised and padded once, channels last, in the type of the convolutions: a batch is a single gather."""
    wide = F.pad(data.normalise(data.images), (data.pad,) * 4).permute(0, 2, 3, 1).contiguous().to(dtype)
    n, side, _, c = wide.shape
    size, pixels = side - 2 * data.pad, wide.view(n * side * side, c)
    columns = torch.arange(size, device=wide.device)

    def batch(step: int) -> Batch:
        at = data.rows(step)
        order, flip = data.order[at], data.flip[at]
        across = torch.where(flip[:, None], size - 1 - columns, columns) + data.dx[at][:, None]
        first = (order[:, None] * side + columns + data.dy[at][:, None]) * side
        found = pixels.index_select(0, (first[:, :, None] + across[:, None, :]).flatten())
        return found.view(len(order), size, size, c).permute(0, 3, 1, 2), data.labels[order]

    return batch


class Loop:
    """A plain training loop over batches; `turn` times some steps after a few others."""

    def __init__(
        self,
        net: nn.Module,
        optimiser: torch.optim.Optimizer,
        batches: Callable[[], Iterator[Sequence[Tensor]]],
        watch: Stopwatch,
        *,
        warm: int,
        steps: int,
        mixed: bool = False,
        looks: bool = False,
        forward: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """`batches` opens a stream for one turn; `looks`: loss and accuracy are read after every step.

        Net and batches are on the device of the `watch`.
        """
        self.net, self.optimiser, self.batches, self.warm, self.steps = net, optimiser, batches, warm, steps
        self.mixed, self.looks, self.forward = mixed, looks, net if forward is None else forward
        self.watch, self.seen = watch, torch.zeros(2, device="cpu" if looks else watch.device)

    def turn(self) -> float:
        """Seconds per step."""
        stream = self.batches()
        for _ in range(self.warm):
            self.step(next(stream))
        steps = self.watch.steps(self.steps)
        self.watch.start()
        for _ in range(steps):
            self.step(next(stream))
        return self.watch.stop(steps)

    def losses(self, steps: int, batches: Callable[[], Iterator[Sequence[Tensor]]] | None = None) -> list[float]:
        """The losses of the first steps, on other `batches` where there are some; it makes a step more."""
        stream = (self.batches if batches is None else batches)()
        return [float(self.step(next(stream))) for _ in range(steps + 1)][:steps]

    def step(self, batch: Sequence[Tensor]) -> Float[Tensor, ""]:
        """One step of the optimiser; the loss before it."""
        images, labels = batch
        self.optimiser.zero_grad()  # before the net: a net in a CUDA graph gives its gradients' memory to the next call
        with self._precision():
            logits = self.forward(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        self.optimiser.step()
        right = (logits.detach().argmax(1) == labels).sum()
        if self.looks:
            self.seen += torch.tensor([loss.item(), right.item() / len(labels)])
        else:
            self.seen += torch.stack([loss.detach(), right.float()])
        return loss.detach()

    def _precision(self) -> AbstractContextManager:
        return torch.autocast(self.watch.device.type, torch.bfloat16) if self.mixed else nullcontext()


def stream(batch: Callable[[int], Batch]) -> Callable[[], Iterator[Batch]]:
    """The batches of steps 0, 1, 2, ..., opened anew at every call."""

    def opened() -> Iterator[Batch]:
        step = 0
        while True:
            yield batch(step)
            step += 1

    return opened


@contextmanager
def blockwise(net: CifarNet) -> Iterator[None]:
    """The blocks of a net are compiled one by one; so is what they run in evaluation from then on, hence not before."""
    for block in net.blocks:
        if block._compiled_call_impl is None:
            block.compile(dynamic=False)
    yield


@contextmanager
def rounded() -> Iterator[None]:
    """OneDNN may round the operands of fp32 convolutions to bf16 by itself."""
    before = torch.backends.mkldnn.conv.fp32_precision  # type: ignore[attr-defined]  # absent from its stubs
    torch.backends.mkldnn.conv.fp32_precision = "bf16"  # type: ignore[attr-defined]  # the same
    try:
        yield
    finally:
        torch.backends.mkldnn.conv.fp32_precision = before  # type: ignore[attr-defined]  # the same
