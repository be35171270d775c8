"""A net to measure instead of the one that trains: whatever a probe does to it, the run cannot notice."""

import copy
from collections import OrderedDict

from torch import nn

MODES = ("train", "eval")
"""Which statistics BatchNorm uses: those of the chunk that is measured, or the running ones."""


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


def _hooks(module: nn.Module) -> list[OrderedDict]:
    """Every table of hooks: a copy must call none of them, nor copy what they hold."""
    return [value for name, value in vars(module).items() if name.endswith(("_hooks", "_hooks_with_kwargs"))]
