"""Seeded, stratified splits."""

import numpy as np
from jaxtyping import Int64

from reslab import streams


def stratified(
    labels: Int64[np.ndarray, " n"], held_out: int, *name: str | int
) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " m"]]:
    """Sorted indices of those kept and those held out; classes keep their shares, by largest remainder.

    ValueError unless 0 <= held_out < n.
    """
    if not 0 <= held_out < len(labels):
        raise ValueError(f"cannot hold out {held_out} of {len(labels)} images; use 0 to {len(labels) - 1}")
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * held_out / len(labels)
    quota = np.floor(shares).astype(int)
    most = np.argsort(quota - shares, kind="stable")[: held_out - quota.sum()]
    quota[most] += 1
    chosen = [
        rows[streams.permutation(len(rows), *name, int(label))[:take]]
        for label, take in zip(classes, quota, strict=True)
        for rows in [np.flatnonzero(labels == label)]
    ]
    out = np.sort(np.concatenate(chosen)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels)), out).astype(np.int64), out


def trained_and_validation(
    labels: Int64[np.ndarray, " n"], held_out: int, split_seed: int
) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " m"]]:
    """Sorted indices of the images that a run learns from, and of those held out; as `stratified`."""
    return stratified(labels, held_out, split_seed, "validation")


def some(labels: Int64[np.ndarray, " n"], count: int, split_seed: int, purpose: str) -> Int64[np.ndarray, " k"]:
    """Sorted indices of `count` images for a purpose, or of all where there are no more; the same ones for a split."""
    kept, _ = stratified(labels, max(len(labels) - count, 0), split_seed, purpose)
    return kept
