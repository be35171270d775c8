"""What every data source can do; the part that the command line needs imports neither NumPy nor torch."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from reslab.data.arrays import Arrays


@runtime_checkable
class Source(Protocol):
    """Images of one kind, in a training and a test part."""

    def fingerprint(self) -> str:
        """A hash of the content; raises FileNotFoundError or ValueError where files are missing or altered."""
        ...

    def read(self, part: str) -> "Arrays":
        """Decode "train" or "test"."""
        ...


def file_hash(path: Path, kind: str = "sha256") -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def combined(parts: Iterable[str]) -> str:
    """One hash from several."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
