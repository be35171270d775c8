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
    """Decode once, then load from `folder`; an unreadable cache file is made anew.

    ValueError for a name that is more than the name of a file.
    """
    if Path(name).name != name:
        raise ValueError(f"{name!r} cannot be the name of a file in {folder}: data.fingerprint was edited")
    images, labels = folder / f"{name}-images.npy", folder / f"{name}-labels.npy"
    found = _loaded(images, labels)
    if found is not None:
        return found
    arrays = read()
    folder.mkdir(parents=True, exist_ok=True)
    for path, array in ((labels, arrays.labels), (images, arrays.images)):
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        with beside.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        beside.replace(path)
    return arrays


def _loaded(images: Path, labels: Path) -> Arrays | None:
    """What the cache holds, if it is what was written there; of a pickle nothing is read."""
    try:
        if not (images.is_file() and labels.is_file()):  # to open a pipe would wait for a writer
            return None
        pixels, classes = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (images, labels))
        whole = pixels.dtype == np.uint8 and classes.dtype == np.int64 and pixels.ndim == 4 and classes.ndim == 1
        return Arrays(pixels, np.array(classes)) if whole and len(pixels) == len(classes) else None
    except Exception:  # NumPy's parser of headers raises anything
        return None


def hash_of(indices: Int64[np.ndarray, " n"]) -> str:
    """SHA-256 of an index list, the same on any machine."""
    return hashlib.sha256(np.ascontiguousarray(indices, dtype="<i8").tobytes()).hexdigest()
