"""Activation checkpointing: of a segment of units only what enters it is kept, and the rest computed again going back.

A stage of n units is cut into about sqrt(n) segments (Chen et al. 2016, section 4.1), not into units: a deep stage then
holds some 5 sqrt(n) activations at a time instead of n, and no unit is computed more often than twice in either case.
No number changes: the second computation starts from the buffers and the random state of the first, and keeps neither.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reslab.training.segments import segments


def recomputing(net: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
    """Logits of a net with a trunk of units, and a graph that holds little of it; ValueError for other nets.

    Between calls the net is as it was: only within one do its stages run in segments. Hooks on what is inside a unit
    are called for the second computation, too.
    """
    with ExitStack() as within:
        for stage in stages(net):
            within.enter_context(_in_segments(stage))
        logits: Tensor = net(images)
    return logits


def stages(net: nn.Module) -> list[nn.Sequential]:
    """The stages of its trunk; ValueError for a net without a `trunk` of stages of units, each nn.Sequential."""
    trunk = net._modules.get("trunk")
    found = list(trunk.children()) if isinstance(trunk, nn.Sequential) else []
    chains = [part for part in (trunk, *found) if isinstance(part, nn.Sequential) and _runs_in_order(part)]
    if not found or len(chains) != 1 + len(found):
        raise ValueError(
            f"trainer.activation_checkpointing=true computes units of a trunk again, and {type(net).__name__} has no "
            "`trunk` of stages of units, each an nn.Sequential; use net=cifar or another net of ours, give yours such "
            "a trunk, or use trainer.activation_checkpointing=false"
        )
    return chains[1:]


def _runs_in_order(chain: nn.Sequential) -> bool:
    """Whether it is run as torch does it, and not by a subclass's idea of it."""
    return type(chain).forward is nn.Sequential.forward


@contextmanager
def _in_segments(stage: nn.Sequential) -> Iterator[None]:
    units = list(stage)
    parts = [_segment([units[at] for at in part]) for part in segments(len(units))]

    def forward(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    stage.forward = forward  # type: ignore[method-assign]  # of this stage alone, until the block ends
    try:
        yield
    finally:
        del stage.forward


def _segment(units: Sequence[nn.Module]) -> Callable[[Tensor], Tensor]:
    buffered = [module for unit in units for module in unit.modules() if module._buffers]

    def run(x: Tensor) -> Tensor:
        for unit in units:
            x = unit(x)
        return x

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        before = [{name: None if b is None else b.clone() for name, b in m._buffers.items()} for m in buffered]
        return nullcontext(), _with_buffers(buffered, before)

    def forward(x: Tensor) -> Tensor:
        out: Tensor = checkpoint(run, x, use_reentrant=False, context_fn=contexts)
        return out

    return forward


@contextmanager
def _with_buffers(modules: Sequence[nn.Module], buffers: Sequence[dict[str, torch.Tensor | None]]) -> Iterator[None]:
    """Within the block the modules read and write these, so that BatchNorm's statistics count each batch once."""
    own = [dict(module._buffers) for module in modules]
    try:
        for module, theirs in zip(modules, buffers, strict=True):
            module._buffers.update(theirs)
        yield
    finally:
        for module, ours in zip(modules, own, strict=True):
            module._buffers.update(ours)
