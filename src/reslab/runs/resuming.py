"""Where an interrupted run goes on: the step of its newest checkpoint, read from its head without torch."""

import pickletools
import zipfile
from pathlib import Path

from reslab.runs.fields import is_whole
from reslab.runs.folder import RunFolder

HEAD = 2**14  # bytes; Lightning writes the step among the first entries, before any weight
MEMORY = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")  # between a key and its value in a pickle


def resumes_at(folder: RunFolder) -> int:
    """The step at which the next attempt begins; 0 without a checkpoint that can be read.

    The same order as the worker, which also tries whether the weights can be read.
    """
    found = (_step(folder.checkpoints / name) for name in ("last.ckpt", "previous.ckpt"))
    return next((step for step in found if step is not None), 0)


def _step(path: Path) -> int | None:
    """None for a file that is absent, torn, or no checkpoint to resume from."""
    try:
        if not path.is_file():  # to open a pipe would wait for a writer
            return None
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as pickled:
                head = pickled.read(HEAD)
        words = (word for code, word, _ in pickletools.genops(head) if code.name not in MEMORY)
        for word in words:
            if word == "global_step":
                value = next(words)
                return value if is_whole(value) else None
    except Exception:  # a torn or hostile file can raise anything
        return None
    return None
