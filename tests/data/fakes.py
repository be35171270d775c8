"""Files as their publishers wrote them, small and made up: Python 2 pickles of CIFAR, Parquet files of PNG images."""

import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Picture


def short_text(value: bytes) -> bytes:
    """A Python 2 `str`: SHORT_BINSTRING or BINSTRING."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def small_int(value: int) -> bytes:
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def dtype(code: bytes = b"u1") -> bytes:
    """What `numpy.dtype(code)` leaves in a pickle of protocol 2."""
    state = b"(" + small_int(3) + short_text(b"|") + b"NNN" + small_int(-1) + small_int(-1) + small_int(0) + b"t"
    return b"cnumpy\ndtype\n" + short_text(code) + small_int(0) + small_int(1) + b"\x87R" + state + b"b"


def array(
    shape: tuple[int, int], raw: bytes | None, *, kind: bytes | None = None, fortran: bool = False, data: bytes = b""
) -> bytes:
    """A two-dimensional array; `kind` replaces its dtype's opcodes and `data` those of its bytes."""
    head = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + small_int(0) + b"\x85" + short_text(b"b")
    rows, columns = shape
    state = (
        b"("
        + small_int(1)
        + small_int(rows)
        + small_int(columns)
        + b"\x86"
        + (kind or dtype())
        + (b"\x88" if fortran else b"\x89")
        + (data or short_text(raw or b""))
        + b"t"
    )
    return head + b"\x87R" + state + b"b"


def python2_batch(pixels: np.ndarray, labels: dict[str, list[int]], *, pixel_opcodes: bytes | None = None) -> bytes:
    """One batch as Python 2's cPickle wrote it: a dictionary of byte strings, protocol 2."""
    out = b"\x80\x02}(" + short_text(b"batch_label") + short_text(b"a made-up batch")
    for name, values in labels.items():
        out += short_text(name.encode()) + b"](" + b"".join(map(small_int, values)) + b"e"
    out += short_text(b"data") + (pixel_opcodes or array(pixels.shape, pixels.tobytes()))
    out += short_text(b"filenames") + b"](" + b"".join(short_text(b"x_%d.png" % i) for i in range(len(pixels))) + b"e"
    return out + b"u."


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def archive(path: Path, folder: str, files: dict[str, bytes]) -> str:
    """A .tar.gz of one folder; returns its MD5."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return md5(path.read_bytes())


def png(pixels: np.ndarray) -> bytes:
    """One image of shape (channels, height, width) as PNG."""
    file = io.BytesIO()
    Picture.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(file, "PNG")
    return file.getvalue()


def write_parquet(
    path: Path, pixels: list, labels: list, *, image: str = "image", label: str = "label", as_struct: bool = False
) -> Path:
    """`pixels` are arrays, or bytes that are written as they are; as one column of bytes or struct(bytes, path)."""
    encoded = [png(p) if isinstance(p, np.ndarray) else p for p in pixels]
    column = [{"bytes": data, "path": f"{row}.png"} for row, data in enumerate(encoded)] if as_struct else encoded
    pq.write_table(pa.table({image: column, label: labels, "other": [0] * len(labels)}), path)
    return path
