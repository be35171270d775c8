"""BatchNorm whose statistics are those of the global batch, on any device and any backend.

PyTorch's own refuses the CPU, where the tests of its equality with one rank must run.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reslab import world


class _Total(torch.autograd.Function):
    """The sum over ranks; so is its gradient, since every rank's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return world.total(values.clone())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return world.total(grad.contiguous().clone())


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe and Szegedy 2015) over the images of all ranks; every rank has equally many."""

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """(n, c, h, w) to the same shape; statistics in fp32, in two passes as they would be on one device."""
        if not self.training or world.size() == 1:
            return super().forward(input)
        values = input.float()
        count = values.numel() // values.shape[1] * world.size()
        mean = _Total.apply(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = _Total.apply(centred.square().sum((0, 2, 3))) / count
        self._follow(mean.detach(), variance.detach() * (count / max(count - 1, 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        weight = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


def synchronise(net: nn.Module) -> nn.Module:
    """Put synchronised norms in the place of `BatchNorm2d`, with the same tensors; in place."""
    return _exchange(net, nn.BatchNorm2d, SynchronisedBatchNorm)


def alone(net: nn.Module) -> nn.Module:
    """The opposite: each rank by itself; in place."""
    return _exchange(net, SynchronisedBatchNorm, nn.BatchNorm2d)


def _exchange(net: nn.Module, old: type[nn.BatchNorm2d], new: type[nn.BatchNorm2d]) -> nn.Module:
    for name, module in list(net.named_children()):
        if type(module) is old:
            made = new(module.num_features, eps=module.eps, momentum=module.momentum)
            for kind in (made._parameters, made._buffers):
                kind.update({key: getattr(module, key) for key in kind})
            made.train(module.training)
            setattr(net, name, made)
        else:
            _exchange(module, old, new)
    return net
