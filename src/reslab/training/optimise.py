"""Optimisers and their parameter groups: each parameter is in exactly one, and which ones decay is written out."""

from collections.abc import Sequence

import torch
from torch import nn


def kind(module: nn.Module, name: str) -> str:
    """What a parameter is: the weight of a convolution, classifier or norm, or a bias; other parameters are "norm"."""
    if name == "bias" and isinstance(module, nn.Conv2d | nn.Linear):
        return "bias"
    return "conv" if isinstance(module, nn.Conv2d) else "linear" if isinstance(module, nn.Linear) else "norm"


def groups(net: nn.Module, *, weight_decay: float, decay: Sequence[str]) -> list[dict]:
    """Two groups, decayed and not; `decay` holds some of `specs.PARAMETER_KINDS`."""
    found: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            found[kind(module, name) in decay].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decays else 0.0}
        for decays, parameters in found.items()
        if parameters
    ]


def sgd(params: list[dict], *, lr: float, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    """Stochastic gradient descent; weight decay is added to the gradient.

    All parameters in one call instead of one by one, to the same bits. `fused` would be faster still, to other bits.
    """
    return torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=nesterov, foreach=True)


def adam(params: list[dict], *, lr: float, betas: Sequence[float], eps: float) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015); weight decay is added to the gradient."""
    return torch.optim.Adam(params, lr=lr, betas=(betas[0], betas[1]), eps=eps)
