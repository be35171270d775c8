"""Named random streams: the same bits for the same name on any machine, whatever was drawn before.

Raw Philox bits under a SHA-256 key. NumPy promises the bits of its generators for ever, but not what its
distributions make of them, so sorting and scaling are done here.
"""

import hashlib

import numpy as np
from jaxtyping import Float64, Int64, UInt64


def bits(n: int, *name: str | int) -> UInt64[np.ndarray, " n"]:
    """`n` uniform 64-bit words of the stream with this name."""
    digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
    return np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8")).random_raw(n)


def below(limit: int, words: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Scale words to 0 .. limit - 1; the bias is limit / 2**32."""
    return (((words >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)


def permutation(n: int, *name: str | int) -> Int64[np.ndarray, " n"]:
    """The order that sorts `n` words of the stream."""
    return np.argsort(bits(n, *name), kind="stable").astype(np.int64)


def uniform(n: int, *name: str | int) -> Float64[np.ndarray, " n"]:
    """Numbers strictly between 0 and 1: the middles of 2**52 cells."""
    return ((bits(n, *name) >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52
