"""Blocks: which convolutions a unit's branch has, as shapes; no torch."""

from collections.abc import Mapping

from reslab.specs import ConvShape


def basic(c_in: int, width: int, stride: int, *, bias: bool, padding: str) -> tuple[ConvShape, ...]:
    """Two 3x3 convolutions; the first one strides (He 2015, Fig. 5 left)."""
    return (
        ConvShape(c_in=c_in, c_out=width, kernel=3, stride=stride, bias=bias, padding=padding),
        ConvShape(c_in=width, c_out=width, kernel=3, stride=1, bias=bias, padding=padding),
    )


def bottleneck(
    c_in: int,
    width: int,
    stride: int,
    *,
    expansion: int | Mapping[int, int],
    stride_at: int,
    bias: bool,
    padding: str,
) -> tuple[ConvShape, ...]:
    """1x1, 3x3, 1x1 convolutions (He 2015, Fig. 5 right).

    `expansion` is output over inner width, one number or one per inner width. `stride_at` is the convolution that
    strides: 1 (He 2015, Table 1) or 2 (as torchvision does). ValueError for other values.
    """
    if not isinstance(expansion, int):
        if width not in expansion:
            raise ValueError(f"block.expansion has no entry for inner width {width}; it knows {sorted(expansion)}")
        expansion = expansion[width]
    if stride_at not in (1, 2):
        raise ValueError(f"block.stride_at={stride_at} is not 1 (the first 1x1) or 2 (the 3x3)")
    if expansion < 1:
        raise ValueError(f"block.expansion={expansion} leaves no channels; He 2015 uses 4")
    strides = [stride if at == stride_at else 1 for at in (1, 2)]
    out = width * expansion
    return (
        ConvShape(c_in=c_in, c_out=width, kernel=1, stride=strides[0], bias=bias, padding=padding),
        ConvShape(c_in=width, c_out=width, kernel=3, stride=strides[1], bias=bias, padding=padding),
        ConvShape(c_in=width, c_out=out, kernel=1, stride=1, bias=bias, padding=padding),
    )
