"""Weights under autocast, all rounded in one go instead of one by one, to the same bits."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Halves:
    """A place in autocast's precision for every weight that it would round; none where autocast is off.

    Autocast casts the weight of a layer at its call, and the gradient back: two kernels for each, which are as long as
    those that compute something. Weights of other modules than convolutions and linear layers are left to it.
    """

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        """Of the net's own parameters, which stay what they are."""
        self._pairs: list[tuple[nn.Module, str, nn.Parameter, nn.Parameter]] = []
        if torch.is_autocast_enabled(device.type):
            dtype = torch.get_autocast_dtype(device.type)
            for module in net.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    for name, weight in module.named_parameters(recurse=False):
                        half = nn.Parameter(torch.empty_like(weight, dtype=dtype))
                        self._pairs.append((module, name, weight, half))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Round all weights; within the block the net computes with what came of it."""
        if self._pairs:
            with torch.no_grad():
                torch._foreach_copy_([half for *_, half in self._pairs], [weight for _, _, weight, _ in self._pairs])
        try:
            for module, name, _, half in self._pairs:
                half.grad = None
                module._parameters[name] = half
            yield
        finally:
            for module, name, weight, _ in self._pairs:
                module._parameters[name] = weight

    def hand_on(self) -> None:
        """Gradients of the rounded weights become those of the weights."""
        found = [(weight, half.grad) for _, _, weight, half in self._pairs if half.grad is not None]
        if not found:
            return
        full = [torch.empty_like(weight) for weight, _ in found]
        torch._foreach_copy_(full, [grad for _, grad in found])
        for (weight, _), grad in zip(found, full, strict=True):  # of several layers, where they share a weight
            weight.grad = grad if weight.grad is None else weight.grad + grad
