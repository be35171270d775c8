"""Fake CIFAR: batches written opcode by opcode, as Python 2's cPickle wrote them in protocol 2."""

import io
import struct

import numpy as np
import pytest
from PIL import Image as Picture


def text(value: bytes) -> bytes:
    """SHORT_BINSTRING or BINSTRING: Python 2's str, kept in the memo by nobody."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def integer(value: int) -> bytes:
    """BININT1, BININT2 or BININT, whichever is shortest."""
    if 0 <= value < 2**8:
        return b"K" + bytes([value])
    if 0 <= value < 2**16:
        return b"M" + struct.pack("<H", value)
    return b"J" + struct.pack("<i", value)


def array(
    pixels: np.ndarray,
    *,
    make: bytes = b"cnumpy.core.multiarray\n_reconstruct\n",
    kind: bytes = b"cnumpy\ndtype\n",
    code: bytes = b"u1",
    fortran: bool = False,
    data: bytes | None = None,
) -> bytes:
    """A NumPy array as NumPy 1 reduced it; the keywords forge parts of it."""
    rows, columns = pixels.shape
    dtype = kind + text(code) + integer(0) + integer(1) + b"\x87R"
    dtype += b"(" + integer(3) + text(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    empty = make + b"cnumpy\nndarray\n" + integer(0) + b"\x85" + text(b"b") + b"\x87R"
    shape = integer(rows) + integer(columns) + b"\x86"
    content = text(pixels.tobytes()) if data is None else data
    return empty + b"(" + integer(1) + shape + dtype + (b"\x88" if fortran else b"\x89") + content + b"tb"


def listed(values) -> bytes:
    """A list of small integers."""
    return b"](" + b"".join(integer(int(value)) for value in values) + b"e"


def batch(pixels: np.ndarray, *, data: bytes | None = None, **labels) -> bytes:
    """A whole batch: labels by name, `data` in place of the opcodes of the pixels."""
    items = text(b"batch_label") + text(b"training batch 1 of 5")
    for name, values in labels.items():
        items += text(name.encode()) + listed(values)
    items += text(b"data") + (array(pixels) if data is None else data)
    return b"\x80\x02}(" + items + b"u."


def png(image: np.ndarray) -> bytes:
    """An image of shape (c, h, w) as PNG."""
    file = io.BytesIO()
    Picture.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, "png")
    return file.getvalue()


class Forge:
    """The functions above, for tests."""

    text, integer, array, listed, batch, png = map(staticmethod, (text, integer, array, listed, batch, png))


@pytest.fixture(scope="session")
def forge():
    return Forge
