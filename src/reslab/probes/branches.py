"""Branch against shortcut: how much each unit adds to what travels around it, and how strongly each layer responds."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reslab.probes.addresses import responses, units, watched
from reslab.probes.copies import copy_of, settled
from reslab.probes.reading import ProbeBatch, Reading, over_chunks
from reslab.probes.signal import same_draws

Found = dict[tuple[str, str], float]


@torch.no_grad()
def branch_ratio(net: nn.Module, batch: ProbeBatch, *, bn: str) -> list[Reading]:
    """Variance of the branch over that of the shortcut, and the standard deviation of every layer's response.

    At every unit: `variance_ratio` (mean over channels of a channel's variance; De and Smith 2020) and
    `second_moment_ratio`; a plain unit has no shortcut, its branch is held against the unit's input. At every
    convolution: `response_std`, after its norm and before activation or addition (He 2015, section 4.2 and Fig. 7).
    """
    measured = copy_of(net, bn=bn)
    with torch.autocast(batch.images.device.type, enabled=False), same_draws(batch.images.device):
        return over_chunks([_of_chunk(settled(measured, images, bn=bn), images) for images, _ in batch.chunks()])


def _of_chunk(net: nn.Module, images: Float[Tensor, "n c h w"]) -> Found:
    found: Found = {}
    paths: dict[str, dict[str, tuple[float, float]]] = {"branch": {}, "around": {}}
    own = units(net)
    around = {address: unit._modules.get("shortcut") for address, unit in own.items()}
    handles = [
        unit.register_forward_pre_hook(
            lambda module, inputs, address=address: paths["around"].__setitem__(address, moments(inputs[0]))
        )
        for address, unit in own.items()
        if around[address] is None
    ]
    shortcuts = {address: shortcut for address, shortcut in around.items() if shortcut is not None}
    branches = {address: unit.get_submodule("branch") for address, unit in own.items()}
    try:
        with (
            watched(branches, lambda name, out: paths["branch"].__setitem__(name, moments(out))),
            watched(shortcuts, lambda name, out: paths["around"].__setitem__(name, moments(out))),
            watched(responses(net), lambda name, out: found.__setitem__((name, "response_std"), spread(out))),
        ):
            net(images)
    finally:
        for handle in handles:
            handle.remove()
    for address in own:
        (variance, second), (base, second_base) = paths["branch"][address], paths["around"][address]
        found[address, "variance_ratio"] = variance / base if base else float("nan")
        found[address, "second_moment_ratio"] = second / second_base if second_base else float("nan")
    return found


def moments(h: Float[Tensor, "n c h w"]) -> tuple[float, float]:
    """Mean over channels of a channel's variance, and the second moment; in fp64."""
    variance, mean = torch.var_mean(h.double(), dim=(0, 2, 3), correction=0)
    return variance.mean().item(), (variance + mean.square()).mean().item()


def spread(h: Float[Tensor, "n c h w"]) -> float:
    """Standard deviation over everything; in fp64."""
    return h.double().std(correction=0).item()
