"""Interventions on the optimiser's step: objects that are called instead of it, with the step and the step itself.

They are made once from the initial net, so that initial norms are known to a resumed run as well; they keep nothing
else, and never look at the device between scheduled steps.
"""

from collections.abc import Callable

import torch
from torch import nn

from reslab.training.steps import Update


def norm_projection(net: nn.Module, *, until: int | None) -> Update:
    """After each of the first `until` steps (None: all), scale every convolution back to its initial Frobenius norm.

    Weights before a norm turn by lr ||g|| / ||W|| per step: with the norms held, no layer can be frozen by a norm that
    exploded (the mechanism of Yang et al. 2019, section 4.3).
    """
    convs = _weights(net)
    initial = [float(weight.detach().double().norm()) for weight in convs]

    def project(step: int, update: Callable[[], object]) -> None:
        update()
        if until is None or step < until:
            with torch.no_grad():
                for weight, norm in zip(convs, initial, strict=True):
                    weight.mul_(_ratio(norm, weight.norm()))

    return project


def layer_rate_balance(net: nn.Module, *, until: int | None, trust: float) -> Update:
    """In the first `until` steps (None: all), scale every convolution's gradient to `trust` times its weight's norm.

    The relative update lr ||g|| / ||W|| is then lr * trust in all layers: LARS (You et al. 2017, Eqn. 6) without the
    term of weight decay, before momentum. Other parameters keep their gradients.
    """
    convs = _weights(net)

    def balance(step: int, update: Callable[[], object]) -> None:
        if until is None or step < until:
            with torch.no_grad():
                for weight in convs:
                    if weight.grad is not None:
                        weight.grad.mul_(trust * _ratio(weight.norm(), weight.grad.norm()))
        update()

    return balance


def _weights(net: nn.Module) -> list[torch.Tensor]:
    return [module.weight for module in net.modules() if isinstance(module, nn.Conv2d)]


def _ratio(to: torch.Tensor | float, of: torch.Tensor) -> torch.Tensor:
    """What `of` is multiplied by to become `to`; 1 where it is 0, which no factor changes."""
    return torch.where(of > 0, to / of, torch.ones_like(of))
