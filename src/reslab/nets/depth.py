"""Depth rules: how many units of which width and stride make a net of that many weighted layers; no torch."""

from collections.abc import Sequence

from reslab.specs import Stage

IMAGENET = {  # He 2015, Table 1: depth -> (convolutions per branch, units per stage)
    18: (2, (2, 2, 2, 2)),
    34: (2, (3, 4, 6, 3)),
    50: (3, (3, 4, 6, 3)),
    101: (3, (3, 4, 23, 3)),
    152: (3, (3, 8, 36, 3)),
}


def cifar(depth: int, *, convs: int, widths: Sequence[int]) -> tuple[Stage, ...]:
    """Equal stages, each but the first halving the image (He 2015, section 4.2).

    `convs` is the number of convolutions per branch, `widths` the inner width of each stage. ValueError names
    the nearest depths where `depth` is not 2 + convs * stages * n.
    """
    per_unit = convs * len(widths)
    units, rest = divmod(depth - 2, per_unit)
    if rest or units < 1:
        below = max(units, 1) * per_unit + 2
        near = f"nearest valid depths are {below} and {below + per_unit}" if depth > below else f"smallest is {below}"
        raise ValueError(
            f"depth {depth} is not {per_unit}n + 2 ({convs} convolutions a unit, {len(widths)} stages, "
            f"stem and classifier); {near}"
        )
    return tuple(Stage(units, width, 1 if at == 0 else 2) for at, width in enumerate(widths))


def imagenet(depth: int, *, convs: int, widths: Sequence[int]) -> tuple[Stage, ...]:
    """The five nets of He 2015, Table 1; ValueError lists those that the block has."""
    valid = [d for d, (per_unit, _) in IMAGENET.items() if per_unit == convs]
    if depth not in valid:
        others = ", ".join(f"{d} has {n} convolutions a unit" for d, (n, _) in IMAGENET.items() if d == depth)
        raise ValueError(
            f"depth {depth} is not in He 2015, Table 1, for a block of {convs} convolutions; "
            f"valid depths are {', '.join(map(str, valid)) or 'none'}" + (f" ({others})" if others else "")
        )
    units = IMAGENET[depth][1]
    if len(widths) != len(units):
        raise ValueError(f"net.widths={list(widths)} has {len(widths)} stages; the nets of the table have {len(units)}")
    return tuple(Stage(n, width, 1 if at == 0 else 2) for at, (n, width) in enumerate(zip(units, widths, strict=True)))
