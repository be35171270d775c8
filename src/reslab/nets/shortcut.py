"""Shortcuts: what travels around the branch, from the branch's span; the independent variable. No torch.

A shortcut is a function of the span to a tuple of operations. `None` is no shortcut at all (a plain net),
the empty tuple is the input as it is.
"""

from dataclasses import replace

from reslab.specs import ConvShape, Ops, Resize


def none(span: ConvShape) -> None:
    """Nothing travels around the branch: a plain net (He 2015, section 3.3)."""


def identity(span: ConvShape) -> Ops:
    """Option A: the input itself, subsampled and zero-padded where the shape changes."""
    return (Resize(span.c_in, span.c_out, span.stride),) if span.changes_shape else ()


def projection(span: ConvShape, *, bias: bool, normed: bool) -> Ops:
    """Option B: a 1x1 convolution where the shape changes, elsewhere the input itself."""
    return projection_all(span, bias=bias, normed=normed) if span.changes_shape else ()


def projection_all(span: ConvShape, *, bias: bool, normed: bool) -> Ops:
    """Option C: a 1x1 convolution on every shortcut."""
    return (replace(span, bias=bias, normed=normed),)
