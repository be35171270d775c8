"""Interventions on an initialised net: each changes, in place, what one hypothesis says is to blame.

`nets.initialise` draws the weights first, so that an arm and its control start from the same numbers.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reslab.nets.build import Net, ResidualUnit


def init_gain(net: Net, *, growth: float) -> None:
    """Equalise the convolutions' relative gradients ||g|| / ||W|| at initialisation; the function stays the same.

    Going back through a plain net with norms, the squared gradient grows `growth`-fold per layer (Yang et al. 2019,
    Theorem 8: pi / (pi - 1) under ReLU). A weight before a norm has no say in the scale of what follows, and its
    relative gradient goes as 1 / ||W||^2: the convolution with k convolutions behind it is multiplied by
    growth^(k / 4). Shortcuts' convolutions, and the classifier, stay as they are.
    """
    convs = convolutions(net)
    for behind, conv in enumerate(reversed(convs)):
        conv.weight.data.mul_(growth ** (behind / 4))


def dirac_init(net: Net, *, noise: float) -> None:
    """Start each convolution of a branch that keeps its input's shape as the identity plus `noise` times its weights.

    DiracNets (Zagoruyko and Komodakis 2017) parametrise a plain net this way for good, with weights of 0.1; here it is
    a start alone. Norms stay: they centre and scale what passes, the activation cuts it off, so that the whole unit is
    near the identity in its channels and not in its values (`nets.identity_padding` makes it exact).
    """
    for conv in convolutions(net):
        if conv.in_channels == conv.out_channels and conv.stride == (1, 1) and conv.kernel_size[0] > 1:
            drawn = conv.weight.detach().clone()
            nn.init.dirac_(conv.weight.data)
            conv.weight.data.add_(drawn, alpha=noise)


def zero_gamma(net: Net) -> None:
    """Scale of the last norm of every branch to 0: the unit starts as its shortcut (Goyal et al. 2017, section 5.1)."""
    for unit in net.trunk.modules():
        if isinstance(unit, ResidualUnit):
            last = list(unit.branch.children())[-1]
            assert isinstance(last, _BatchNorm | nn.GroupNorm), "launch refuses nets whose branches end otherwise"
            torch.nn.init.zeros_(last.weight)


def convolutions(net: Net) -> list[nn.Conv2d]:
    """Those of the stem and of all branches, from the image to the classifier; shortcuts' are not among them."""
    chains = [net.stem, *(unit.branch for unit in net.trunk.modules() if isinstance(unit, ResidualUnit))]
    return [module for chain in chains for module in chain.modules() if isinstance(module, nn.Conv2d)]
