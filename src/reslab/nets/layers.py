"""Single layers made from shapes; they know nothing of units."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.specs import ConvShape


class Add(nn.Module):
    """The sum of two paths."""

    def forward(self, branch: Float[Tensor, "n c h w"], shortcut: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Elementwise branch + shortcut."""
        return branch + shortcut


class SubsampleAndPad(nn.Module):
    """Option A of He 2015: every stride-th pixel; new channels are zero and come last."""

    def __init__(self, *, c_in: int, c_out: int, stride: int) -> None:
        """`c_out` is at least `c_in`: nets.net refuses the rest."""
        super().__init__()
        assert c_out >= c_in
        self.new, self.stride = c_out - c_in, stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """(n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))


class SameConv2d(nn.Conv2d):
    """A convolution padded as Keras's `padding="same"`: output side ceil(h / stride), the odd pixel right and below."""

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """(n, c_in, h, w) to (n, c_out, ceil(h / stride), ceil(w / stride))."""
        pads: list[int] = []
        for size in (input.shape[3], input.shape[2]):
            k, s = self.kernel_size[0], self.stride[0]
            total = max((-(-size // s) - 1) * s + k - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(input, pads), self.weight, self.bias, self.stride)


def conv(shape: ConvShape) -> nn.Conv2d:
    """The convolution of that shape."""
    if shape.padding == "same":
        return SameConv2d(shape.c_in, shape.c_out, shape.kernel, stride=shape.stride, bias=shape.bias)
    return nn.Conv2d(
        shape.c_in, shape.c_out, shape.kernel, stride=shape.stride, padding=shape.kernel // 2, bias=shape.bias
    )


class MeanPool(nn.Module):
    """Global average pooling."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c"]:
        """Mean over all pixels."""
        return torch.mean(x, dim=(2, 3))
