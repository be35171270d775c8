"""What a check says: how it went, and what mends it."""

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One finding; `fix` is a command or a setting, empty where nothing has to be mended."""

    name: str
    level: Literal["ok", "note", "warning", "problem"]
    said: str
    fix: str = ""

    def record(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)
