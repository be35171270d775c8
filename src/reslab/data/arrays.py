"""What a source delivers, and its cache on disk."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from reslab.specs import Image


class Arrays(NamedTuple):
    """Images as bytes and their labels."""

    images: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"]


def checked(arrays: Arrays, image: Image, rows: int, where: str) -> Arrays:
    """The same arrays; ValueError where they differ from what the data config declares."""
    images, labels = arrays
    declared = (rows, image.channels, image.size, image.size)
    if images.shape != declared or len(labels) != rows:
        raise ValueError(
            f"{where} holds {len(labels)} labels and images of shape {images.shape}; the data config declares "
            f"{declared} (rows, channels, size, size): set data.rows, data.channels and data.size"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= image.classes))
    if len(wrong):
        raise ValueError(
            f"{where}: label {labels[wrong[0]]} in row {wrong[0]} is out of range; data.classes={image.classes} "
            f"allows 0 to {image.classes - 1} ({len(wrong)} such rows)"
        )
    return arrays


def cached(read: Callable[[], Arrays], folder: Path, name: str) -> Arrays:
    """Decode once, then load from `folder`; an unreadable cache file is made anew."""
    images, labels = folder / f"{name}-images.npy", folder / f"{name}-labels.npy"
    try:
        found = Arrays(np.load(images, mmap_mode="r", allow_pickle=False), np.load(labels, allow_pickle=False))
        if len(found.images) == len(found.labels):
            return found
    except (OSError, ValueError, EOFError):
        pass
    arrays = read()
    folder.mkdir(parents=True, exist_ok=True)
    for path, array in ((labels, arrays.labels), (images, arrays.images)):
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        with beside.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        beside.replace(path)
    return arrays


def hash_of(indices: Int64[np.ndarray, " n"]) -> str:
    """SHA-256 of an index list, the same on any machine."""
    return hashlib.sha256(np.ascontiguousarray(indices, dtype="<i8").tobytes()).hexdigest()
