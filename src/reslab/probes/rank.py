"""Effective and stable rank: how many directions of its channels a layer uses."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reslab.probes.addresses import convolutions, units, watched
from reslab.probes.copies import copy_of, settled
from reslab.probes.reading import ProbeBatch, Reading
from reslab.probes.signal import same_draws


@torch.no_grad()
def effective_rank(net: nn.Module, batch: ProbeBatch, *, bn: str) -> list[Reading]:
    """Ranks of every unit's pooled features over the probe batch, and of every convolution's weight.

    At every unit, of the (images, channels) matrix of features averaged over positions: `effective_rank`, e to the
    entropy of the singular values as shares of their sum (Roy and Vetterli 2007), and `stable_rank`, the squared
    Frobenius norm over the squared spectral norm; both of features whose mean over images is taken off, and as
    `effective_rank_raw`, `stable_rank_raw` of the features as they are. `rank_share` is the effective rank over the
    largest possible. At every convolution: `weight_effective_rank`, `weight_stable_rank` of its weight as a (c_out,
    c_in h w) matrix. The rank of a sample is no mean over chunks, so nothing has a standard error.
    """
    measured = copy_of(net, bn=bn)
    pooled: dict[str, list[Tensor]] = {address: [] for address in units(measured)}
    device = batch.images.device
    with torch.autocast(device.type, enabled=False), same_draws(device):
        for images, _ in batch.chunks():
            settled(measured, images, bn=bn)
            with watched(units(measured), lambda name, h: pooled[name].append(h.double().mean((2, 3)))):
                measured(images)
    found = []
    for address, chunks in pooled.items():
        raw = torch.cat(chunks)
        centred = raw - raw.mean(0)
        effective, stable = ranks(centred)
        most = min(raw.shape[0] - 1, raw.shape[1])
        found += [Reading(address, "effective_rank", effective, None), Reading(address, "stable_rank", stable, None)]
        found.append(Reading(address, "rank_share", effective / most if most else float("nan"), None))
        effective, stable = ranks(raw)
        found += [Reading(address, "effective_rank_raw", effective, None)]
        found += [Reading(address, "stable_rank_raw", stable, None)]
    for name, weight in convolutions(measured).items():
        effective, stable = ranks(weight.double().flatten(1))
        found += [Reading(name, "weight_effective_rank", effective, None)]
        found += [Reading(name, "weight_stable_rank", stable, None)]
    return found


def ranks(matrix: Float[Tensor, "m n"]) -> tuple[float, float]:
    """Effective and stable rank; nan for a matrix of zeros, or one that is not finite."""
    if not bool(matrix.isfinite().all()):
        return float("nan"), float("nan")
    values = torch.linalg.svdvals(matrix)
    total, largest = values.sum(), values.amax()
    if not largest > 0:
        return float("nan"), float("nan")
    shares = values / total
    entropy = -torch.special.xlogy(shares, shares).sum()
    return entropy.exp().item(), (values / largest).square().sum().item()
