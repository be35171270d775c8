"""Reads the original CIFAR batches without running what a pickle may ask for.

The only names that such a file needs are three of NumPy's; inert stand-ins take their place, every other
name is refused.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

CONTAINERS = 100


class _Dtype:
    def __init__(self, code: bytes, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for bytes."""


class _Array:
    value: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if fortran or not isinstance(dtype, _Dtype) or dtype.code != b"u1" or not isinstance(data, bytes):
            raise pickle.UnpicklingError("its pixels are not C-ordered bytes")
        self.value = np.frombuffer(data, np.uint8).reshape(shape)


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR batch needs") from None


def _check(data: bytes) -> None:
    """ValueError for what would exhaust memory or the stack before anything of it can be refused."""
    nested = 0
    for opcode, argument, _ in pickletools.genops(data):
        nested += opcode.name.startswith(("TUPLE", "LIST", "DICT", "EMPTY_"))
        if opcode.name.endswith("PUT") and int(argument or 0) > len(data):
            raise ValueError("it counts more objects than it can hold")
    if nested > CONTAINERS:
        raise ValueError(f"it has {nested} tuples, lists and tables, an original batch fewer than {CONTAINERS}")


def read_batch(data: bytes, label: str, where: str) -> tuple[UInt8[np.ndarray, "n pixels"], Int64[np.ndarray, " n"]]:
    """Pixels and labels of one batch; ValueError for anything but an original batch."""
    try:
        _check(data)
        batch = _Reader(io.BytesIO(data), encoding="bytes").load()
        pixels, found = batch[b"data"].value, batch[label.encode()]
        if not isinstance(found, list) or not all(type(value) is int for value in found):
            raise ValueError("its labels are not a list of integers")
        labels = np.array(found, np.int64)
        if pixels.shape != (len(labels), 3 * 32 * 32):
            raise ValueError(f"{pixels.shape} pixels for {len(labels)} labels")
    except Exception as error:  # a hostile or torn pickle can raise anything
        raise ValueError(f"{where} is not an original CIFAR batch: {error}") from error
    return pixels, labels
