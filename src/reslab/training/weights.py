"""Checkpoints from anywhere: read without running what a pickle may ask for, and never larger than the file is."""

import zipfile
from pathlib import Path
from typing import Any

import torch


def read_checkpoint(file: Path) -> Any:
    """What torch.save wrote: tensors, numbers, texts. ValueError for anything else, in a sentence."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not stored or sum(entry.file_size for entry in entries) > file.stat().st_size:
            raise ValueError("it would expand, which torch.save never writes")
        return torch.load(file, weights_only=True, map_location="cpu", mmap=False)
    except Exception as error:  # a torn or hostile file can raise anything
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{file} cannot be read ({type(error).__name__}: {reason[:120]})") from error
