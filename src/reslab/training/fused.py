"""Nets whose kernels between convolutions are fused by Inductor, to other last bits.

Where a step is recorded, unit by unit, so that depth costs nothing to compile. On a CPU as a whole: units by themselves
take 1.6 times as long there as uncompiled ones, the whole of ResNet-20 gains a few percent in bf16, and that of
ResNet-56 hardly anything (`reslab bench part=steps`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reslab.training.steps import Forward

VARIANTS = 64  # of one piece of code; units of a net differ in few things, and Dynamo gives up after 8


@contextmanager
def fused(net: nn.Module) -> Iterator[None]:
    """Within the block a net's parts are compiled at their first call; equal units share what was compiled.

    Afterwards the net is as it was: what was recorded needs no Python, and evaluation keeps its own bits.
    """
    parts = regions(net)
    with torch._dynamo.config.patch(recompile_limit=VARIANTS):
        for part in parts:
            part.compile(dynamic=False)
        try:
            yield
        finally:
            for part in parts:
                part._compiled_call_impl = None


def as_one(net: nn.Module) -> Forward:
    """How training computes the logits of a net that is compiled at its first step; the net itself stays as it is."""
    # in this process: workers of Inductor's own would take the cores of other runs, and outlive a run that is stopped
    compiled = torch.compile(net, dynamic=False, options={"compile_threads": 1})

    def forward(net: nn.Module, images: Tensor) -> Tensor:
        logits: Tensor = compiled(images)
        return logits

    return forward


def regions(net: nn.Module) -> list[nn.Module]:
    """Stem, units and head of a net with a trunk of stages of units; of another net, the whole of it."""
    found: list[nn.Module] = []
    for name, part in net.named_children():
        stages = list(part.children()) if name == "trunk" else []
        if stages and all(isinstance(stage, nn.Sequential) for stage in stages):
            found += [unit for stage in stages for unit in stage.children()]
        else:
            found.append(part)
    return found if "trunk" in net._modules else [net]
