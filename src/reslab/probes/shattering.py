"""Shattered gradients: whether two images still ask the same of a layer, or depth has made noise of it."""

import torch
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor, nn

from reslab import streams
from reslab.probes.addresses import units, watched
from reslab.probes.copies import copy_of, settled
from reslab.probes.reading import ProbeBatch, Reading, over_chunks
from reslab.probes.signal import same_draws

Found = dict[tuple[str, str], float]


def shattered_gradients(net: nn.Module, batch: ProbeBatch, *, bn: str) -> list[Reading]:
    """Mean cosine between the gradients of two images, by what a layer gives them (Balduzzi et al. 2017).

    The gradient is that of one random combination of the logits, the same for all images, so that only the net tells
    them apart. At the stem and after every unit: `gradient_cosine`; at the trunk: `input_gradient_cosine`, by the
    image itself. ValueError for bn=train: statistics of the batch mix the gradients of its images.
    """
    if bn == "train":
        raise ValueError(
            "bn=train mixes the gradients of the images of a batch; use frozen (the same statistics as constants) or "
            "eval"
        )
    measured = copy_of(net, bn=bn)
    device = batch.images.device
    with torch.enable_grad(), torch.autocast(device.type, enabled=False), same_draws(device):
        return over_chunks([_of_chunk(settled(measured, images, bn=bn), images) for images, _ in batch.chunks()])


def _of_chunk(net: nn.Module, images: Float[Tensor, "n c h w"]) -> Found:
    seen: dict[str, Tensor] = {}
    shown = images.detach().clone().requires_grad_(True)
    with watched({"stem": net.get_submodule("stem"), **units(net)}, seen.__setitem__):
        logits = net(shown)
    total = (logits @ _direction(logits)).sum()  # an image's share of it depends on no other image
    first, *inside = torch.autograd.grad(total, [shown, *seen.values()])
    found = {(layer, "gradient_cosine"): mean_cosine(g) for layer, g in zip(seen, inside, strict=True)}
    return found | {("trunk", "input_gradient_cosine"): mean_cosine(first)}


def mean_cosine(gradients: Float[Tensor, "n c h w"]) -> float:
    """Over all pairs of different images, in fp64; nan where an image has no gradient, or there is one image."""
    rows = gradients.detach().double().flatten(1)
    ones, n = rows / rows.norm(dim=1, keepdim=True), len(rows)
    return ((ones.sum(0).square().sum() - n) / (n * (n - 1))).item() if n > 1 else float("nan")


def _direction(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " classes"]:
    classes = logits.shape[1]
    return torch.from_numpy(ndtri(streams.uniform(classes, "probe", "shattering", classes))).to(logits)
