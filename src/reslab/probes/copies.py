"""A net to measure instead of the one that trains: whatever a probe does to it, the run cannot notice."""

import copy
from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

MODES = ("train", "eval", "frozen")
"""Which statistics BatchNorm uses: those of the chunk that is measured, the running ones, or those of the chunk as
constants, so that the net computes the same as in training and no image's gradient depends on another image."""


def copy_of(net: nn.Module, *, bn: str) -> nn.Module:
    """An eager fp32 copy without gradients and hooks, on the same device; `bn` is one of MODES (else ValueError).

    The weights of a compiled net are its own net's.
    """
    if bn not in MODES:
        raise ValueError(f"bn={bn} is no mode of BatchNorm; use {' or '.join(MODES)}")
    eager = getattr(net, "_orig_mod", net)  # what torch.compile has wrapped
    made = copy.deepcopy(eager, {id(hooks): OrderedDict() for module in eager.modules() for hooks in _hooks(module)})
    for parameter in made.parameters():
        parameter.requires_grad_(True)
        parameter.grad = None
    return made.float().train(bn == "train")


def settled(copied: nn.Module, images: Float[Tensor, "n c h w"], *, bn: str) -> nn.Module:
    """The copy, ready to measure this chunk: in mode "frozen" its BatchNorm takes, in place, the chunk's statistics."""
    if bn == "frozen":
        norms = [module for module in copied.modules() if isinstance(module, _BatchNorm)]
        handles = [norm.register_forward_pre_hook(_take) for norm in norms]
        try:
            with torch.no_grad():
                copied(images)
        finally:
            for handle in handles:
                handle.remove()
    return copied


def _take(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Biased variances, as in training: running ones are not."""
    h = inputs[0]
    variance, mean = torch.var_mean(h, dim=[0, *range(2, h.dim())], correction=0)
    norm.running_mean, norm.running_var = mean, variance


def _hooks(module: nn.Module) -> list[OrderedDict]:
    """Every table of hooks: a copy must call none of them, nor copy what they hold."""
    return [value for name, value in vars(module).items() if name.endswith(("_hooks", "_hooks_with_kwargs"))]
