"""Dead units: channels that are zero whatever is shown."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reslab.probes.addresses import watched
from reslab.probes.copies import copy_of, settled
from reslab.probes.reading import ProbeBatch, Reading
from reslab.probes.signal import same_draws

DORMANT = 0.025
"""Of the layer's mean activation: a channel below is dormant (Sokar et al. 2023)."""


@torch.no_grad()
def dead_units(net: nn.Module, batch: ProbeBatch, *, bn: str) -> list[Reading]:
    """Shares of channels that are dead or dormant behind every ReLU, and in the whole net.

    Dead: zero at every position of every image of the probe batch. Dormant: its mean is below a fortieth of the mean
    over all channels of that activation (Sokar et al. 2023, tau = 0.025), so that dead ones are dormant, too. At every
    activation, by the module's name: `dead` and `dormant`; at the trunk the same over all channels of the net. An
    activation that is not a ReLU has no zero to die at, and is left out; nan where a net has none, or what is not
    finite goes through. Exact over the batch: no standard error.
    """
    measured = copy_of(net, bn=bn)
    relus: dict[str, nn.Module] = {
        name: module for name, module in measured.named_modules() if isinstance(module, nn.ReLU)
    }
    largest: dict[str, Tensor] = {}
    total: dict[str, Tensor] = {}

    def add(name: str, h: Float[Tensor, "n c ..."]) -> None:
        """Largest value and sum of every channel, over all chunks."""
        by_channel = h.detach().double().transpose(0, 1).flatten(1)
        peak, summed = by_channel.amax(1), by_channel.sum(1)
        largest[name] = torch.maximum(largest[name], peak) if name in largest else peak
        total[name] = total[name] + summed if name in total else summed

    device = batch.images.device
    with torch.autocast(device.type, enabled=False), same_draws(device):
        for images, _ in batch.chunks():
            settled(measured, images, bn=bn)
            with watched(relus, add):
                measured(images)
    counts = {name: _lost(largest[name], total[name]) for name in relus if name in total}
    channels = {name: len(total[name]) for name in counts}
    found = []
    for at, statistic in enumerate(("dead", "dormant")):
        found += [Reading(name, statistic, own[at] / channels[name], None) for name, own in counts.items()]
        whole = sum(own[at] for own in counts.values()) / sum(channels.values()) if channels else float("nan")
        found.append(Reading("trunk", statistic, whole, None))
    return found


def _lost(largest: Float[Tensor, " c"], total: Float[Tensor, " c"]) -> tuple[float, float]:
    """How many channels are dead, and dormant; a layer in which all are dead is dormant as a whole."""
    if not bool(total.isfinite().all()):
        return float("nan"), float("nan")
    dormant = total <= DORMANT * total.mean()
    return float((largest == 0).sum()), float(dormant.sum())
