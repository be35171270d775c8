"""The constructed solution of He 2015, section 1: a deeper plain net that computes what a trained shallow one does.

Units are appended to every stage; their convolutions are the identity, and so are their norms: scale and shift are the
standard deviation and mean of what they receive, so that they are near the identity on batch statistics as well.
"""

import copy
import itertools
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.nets.build import Net, ResidualUnit


@torch.no_grad()
def pad(shallow: Net, deep: Net, images: Float[Tensor, "n c h w"]) -> None:
    """Give `deep`, in place, the function of `shallow`, which is left as it is.

    In eval mode each new unit returns its input bit for bit. In train mode it does so up to rounding on `images`, one
    batch by whose statistics the new norms are set, and up to the scatter of batch statistics on others. ValueError
    where a new unit cannot be the identity: see `why_not`.
    """
    if reason := why_not(shallow, deep):
        raise ValueError(reason)
    (eps,) = {part.eps for part in deep.modules() if isinstance(part, nn.BatchNorm2d)}
    statistics = _batch_statistics(shallow, images, eps)
    deep.stem.load_state_dict(shallow.stem.state_dict())
    deep.head.load_state_dict(shallow.head.state_dict())
    for s, (old, new) in enumerate(_stages(shallow, deep)):
        for at, unit in enumerate(new):
            if at < len(old):
                unit.load_state_dict(old[at].state_dict())
            else:
                _make_identity(unit, *statistics[s])


def why_not(shallow: Net, deep: Net) -> str:
    """Why no identity padding leads from one to the other, in a sentence; empty where it does."""
    stages = _stages(shallow, deep)
    if len(shallow.trunk) != len(deep.trunk) or any(len(new) < len(old) for old, new in stages):
        return "the net to be made has fewer units than the trained one; use a larger depth"
    for part in shallow.trunk.modules():
        if isinstance(part, ResidualUnit) and part.shortcut is not None:
            return "the trained net has shortcuts; a constructed solution starts from a plain net, shortcut=none"
    for old, new in stages:
        for unit in new[len(old) :]:
            kinds = [type(part) for part in (*unit.branch.children(), *unit.after.children())]
            if kinds != [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * (len(kinds) // 3) or len(unit.before):
                return "a unit is the identity only where every convolution has norm=batch and act=relu behind it"
            if any(conv.in_channels != conv.out_channels or conv.kernel_size[0] % 2 == 0 for conv in _convs(unit)):
                return "a unit is the identity only where no convolution changes the channels; use block=basic"
    return ""


def _stages(shallow: Net, deep: Net) -> list[tuple[list[ResidualUnit], list[ResidualUnit]]]:
    """The units of each stage of both nets."""
    found = [
        [[unit for unit in stage.children() if isinstance(unit, ResidualUnit)] for stage in net.trunk]
        for net in (shallow, deep)
    ]
    return list(zip(*found, strict=False))


def _convs(unit: nn.Module) -> Iterator[nn.Conv2d]:
    return (part for part in unit.modules() if isinstance(part, nn.Conv2d))


def _batch_statistics(net: Net, images: Float[Tensor, "n c h w"], eps: float) -> list[tuple[Tensor, Tensor]]:
    """Mean and 1 / sqrt(variance + eps) per channel of each stage's output in train mode, as a norm itself takes them.

    Its own arithmetic matters: fp32 sums in channels_last order can be wrong in the fourth digit.
    """
    copied, found = copy.deepcopy(net).train(), []
    out = copied.stem(images)
    for stage in copied.trunk:
        out = stage(out)
        _, mean, inverse = torch.native_batch_norm(out, None, None, None, None, True, 0.0, eps)
        found.append((mean, inverse))
    return found


def _make_identity(unit: nn.Module, mean: Tensor, inverse: Tensor) -> None:
    for part in unit.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.dirac_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            scale, variance = exact(1 / inverse, part.eps)
            part.weight.copy_(scale)
            part.running_var.copy_(variance)
            part.bias.copy_(mean)
            part.running_mean.copy_(mean)


def exact(scale: Float[Tensor, " c"], eps: float) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Scales, within a few units in the last place of these, and variances with which a norm multiplies by exactly 1.

    In eval mode, that is; variances are near scale^2 - eps, and the norm's own arithmetic is the judge.
    """
    best, variance = scale.clone(), (scale.double() ** 2 - eps).float()
    for units, halves in itertools.product(sorted(range(-32, 33), key=abs), sorted(range(-8, 9), key=abs)):
        good = _factor(best, variance, eps) == 1
        if bool(good.all()):
            break
        trial = (scale.double() * (1 + units * 2.0**-24)).float()
        beside = (trial.double() ** 2 * (1 + halves * 2.0**-24) - eps).clamp_min(0).float()
        best, variance = torch.where(good, best, trial), torch.where(good, variance, beside)
    assert bool((_factor(best, variance, eps) == 1).all()), "some neighbour of every float has an exact inverse"
    return best, variance


def _factor(scale: Float[Tensor, " c"], variance: Float[Tensor, " c"], eps: float) -> Float[Tensor, " c"]:
    """What such a norm multiplies by in eval mode."""
    zero = torch.zeros_like(scale)
    ones = torch.ones(1, len(scale), 1, 1, device=scale.device)
    return F.batch_norm(ones, zero, variance, scale, zero, False, 0.0, eps).flatten()
