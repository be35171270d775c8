"""Training steps recorded once as a CUDA graph and replayed: the host says so, seeds layers that draw, and no more.

A step of these nets is hundreds of kernels of some microseconds each, and to launch one takes the host longer. What a
step needs is on the device before it begins: the plan of the epoch, its learning rates, and the place in both, which
the step itself counts on. But for the recording all of it runs on a CPU as well, where `train_steps` is its equal to
the bit if its optimiser is SGD's fused form, too, at rates that fp32 can hold: that form rounds in ways of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from reslab.training.fused import fused
from reslab.training.halves import Halves
from reslab.training.recordable import fastest_convolutions, on_device, without_counters
from reslab.training.steps import layer_seed, seed_device

Step = Callable[[], None]
WARM = 3  # steps before the recording: in the first ones libraries choose their kernels and take their memory


@runtime_checkable
class Planned(Protocol):
    """The steps start .. stop - 1 of a plan whose batches the device can make by itself."""

    start: int
    stop: int

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass."""
        ...

    def drawn(self, epoch: int) -> Int64[Tensor, "4 n"]:
        """The plan of an epoch, on the device: for each image in step order the numbers that its batch is made from."""
        ...

    def assemble(self, drawn: Int64[Tensor, "4 n"]) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
        """Images and labels of some columns of it."""
        ...


def cuda_graph(step: Step) -> Step:
    """Record what `step` would have the GPU do, without doing it; the replay."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may go on using the GPU
        step()
    return graph.replay


class Captured:
    """`train_steps` for plain updates on one device: the first call records the step, every call replays it."""

    def __init__(self, *, compiled: bool, record: Callable[[Step], Step] = cuda_graph) -> None:
        """`record` gives the replay of a step; the step itself is one, which is how a CPU tests the rest.

        `compiled`: Inductor fuses what is between convolutions, to other last bits.
        """
        self._record, self._compiled = record, compiled
        self._recording: Recording | None = None

    def __call__(
        self,
        net: nn.Module,
        optimiser: Any,
        batches: Planned,
        *,
        lr: Callable[[int], float],
        seed: int,
        first_bad: Int64[Tensor, ""],
    ) -> Float[Tensor, " 3"]:
        """As `train_steps`; RuntimeError where the step cannot be recorded, ValueError for an optimiser not SGD."""
        raw = getattr(optimiser, "optimizer", optimiser)
        if self._recording is None:
            if type(raw) is not torch.optim.SGD or any(group["dampening"] for group in raw.param_groups):
                raise ValueError(
                    f"trainer.cuda_graph=true records SGD without dampening, and this is {type(raw).__name__}; "
                    "use trainer.cuda_graph=false"
                )
            with fused(net) if self._compiled else nullcontext(), fastest_convolutions():
                made = Recording(net, raw, batches, lr=lr, seed=seed, first_bad=first_bad, record=self._record)
            self._recording = made
        totals = self._recording.run(batches)
        if raw is not optimiser:  # Lightning's wrapper counts the steps that it sees
            for _ in range(batches.start, batches.stop):
                optimiser._on_before_step()
                optimiser._on_after_step()
        return totals


class Recording:
    """The state of one net's recorded step on the device, and its replay."""

    def __init__(
        self,
        net: nn.Module,
        optimiser: torch.optim.SGD,
        batches: Planned,
        *,
        lr: Callable[[int], float],
        seed: int,
        first_bad: Int64[Tensor, ""],
        record: Callable[[Step], Step],
    ) -> None:
        """Take a few steps, undo them, record one. The first step of `batches` is the next one."""
        self._net, self._optimiser, self._assemble = net, optimiser, batches.assemble
        self._lr, self._seed, self._first_bad, self._device = lr, seed, first_bad, first_bad.device
        self._per_epoch = batches.steps_per_epoch
        self._epoch = batches.start // self._per_epoch
        self._plan = batches.drawn(self._epoch).clone()
        self._rates = torch.zeros(self._per_epoch, device=self._device)
        self._columns = torch.arange(self._plan.shape[1] // self._per_epoch, device=self._device)
        self._at, self._totals = self._scalar(batches.start % self._per_epoch), torch.zeros(2, device=self._device)
        self._number, self._rate = self._scalar(batches.start), torch.zeros((), device=self._device)
        self._halves = Halves(net, self._device)
        self._norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and _counts(m)]
        with self._undone():
            self._draws = _warm(self._first_step, self._device)
        try:
            self._replay = record(self._step)
        except RuntimeError as error:
            reason = (str(error).splitlines() or [""])[0]
            raise RuntimeError(
                f"this net's step cannot be recorded as a CUDA graph ({reason}); use trainer.cuda_graph=false"
            ) from error

    def run(self, batches: Planned) -> Float[Tensor, " 3"]:
        """The steps of one slice; loss, errors and images, summed, still on the device."""
        self._totals.zero_()
        for step in range(batches.start, batches.stop):
            if step == batches.start or step % self._per_epoch == 0:
                self._place(batches, step)
            if self._draws:
                seed_device(self._device, layer_seed(self._seed, step))
            self._replay()
        done = batches.stop - batches.start
        if self._norms:
            torch._foreach_add_(
                [counter for norm in self._norms if (counter := norm.num_batches_tracked) is not None], done
            )
        for group in self._optimiser.param_groups:
            group["lr"] = self._lr(batches.stop - 1)
        return torch.cat([self._totals, self._totals.new_full((1,), done * len(self._columns))])

    def _step(self) -> None:
        """What is recorded: one step, from the batch to the sums, that asks nothing of the host."""
        images, labels = self._assemble(self._plan.index_select(1, self._at * len(self._columns) + self._columns))
        self._rate.copy_(self._rates.index_select(0, self._at).squeeze(0))
        self._optimiser.zero_grad(set_to_none=True)
        with self._halves.in_place(), without_counters(self._norms):
            logits = self._net(images).float()
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        self._halves.hand_on()
        with on_device(self._optimiser, self._rate):
            self._optimiser.step()
        with torch.no_grad():
            loss = loss.detach()
            errors = (logits.argmax(1) != labels).sum()
            self._totals += torch.stack([loss * len(labels), errors.float()])
            bad = ~torch.isfinite(loss) & (self._first_bad < 0)
            self._first_bad.copy_(torch.where(bad, self._number, self._first_bad))
            self._at += 1
            self._number += 1

    def _first_step(self) -> None:
        """A step of this epoch's first batch, so that warming up never leaves the epoch."""
        self._at.zero_()
        self._step()

    def _place(self, batches: Planned, step: int) -> None:
        """Have the device's counters at `step`, its epoch's plan there, and the rates until slice or epoch ends."""
        epoch, at = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._plan.copy_(batches.drawn(epoch))
            self._epoch = epoch
        steps = range(step, min(batches.stop, step - at + self._per_epoch))  # a schedule may end where the run does
        self._rates[at : at + len(steps)].copy_(torch.tensor([self._lr(one) for one in steps]))
        self._at.fill_(at)
        self._number.fill_(step)

    def _scalar(self, value: int) -> Int64[Tensor, ""]:
        return torch.tensor(value, device=self._device)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Put back, into the same tensors, whatever the steps within have changed."""
        mine = [self._at, self._number, self._totals, self._first_bad]
        tensors = [*mine, *self._net.parameters(), *self._net.buffers()]
        before = [tensor.detach().clone() for tensor in tensors]
        momenta = {p: b.clone() for p, b in _momenta(self._optimiser)}
        yield
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
            for parameter, buffer in _momenta(self._optimiser):  # from zero, a first step leaves what it would anyway
                buffer.copy_(momenta.get(parameter, torch.zeros_like(buffer)))


def _warm(step: Step, device: torch.device) -> bool:
    """Take WARM steps; whether they drew random numbers, whose generator is left as it was."""
    generator = torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator
    before = generator.get_state()
    if device.type == "cuda":
        aside = torch.cuda.Stream(device)  # where PyTorch wants what comes before a recording
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                step()
        torch.cuda.current_stream(device).wait_stream(aside)
    else:
        for _ in range(WARM):
            step()
    drawn = not torch.equal(generator.get_state(), before)
    generator.set_state(before)
    return drawn


def _counts(norm: _BatchNorm) -> bool:
    """Whether it counts batches, and does not need to know how many there were."""
    return norm.training and norm.track_running_stats and bool(norm.momentum)


def _momenta(optimiser: torch.optim.SGD) -> list[tuple[Tensor, Tensor]]:
    found = [(parameter, state.get("momentum_buffer")) for parameter, state in optimiser.state.items()]
    return [(parameter, buffer) for parameter, buffer in found if buffer is not None]
