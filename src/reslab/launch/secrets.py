"""Secrets stay in the environment: a command or a config that held one would carry it into every record."""

import os
import re
from collections.abc import Sequence

NAMES = re.compile(r"(api_?key|access_?key|token|secret|passw(or)?d|credential)s?$", re.IGNORECASE)
SHORTEST = 8  # letters; what is shorter stands in many a word by chance


def without_secrets(settings: Sequence[str]) -> Sequence[str]:
    """The same settings; ValueError for one (KEY=VALUE) whose key names a secret, or that holds one of ours."""
    known = {value: name for name, value in os.environ.items() if NAMES.search(name) and len(value) >= SHORTEST}
    for setting in settings:
        key = setting.partition("=")[0]
        held = [name for value, name in known.items() if value in setting]
        if held or NAMES.search(key):
            reason = f"holds the value of {held[0]}" if held else "names a secret"
            shown = "an argument" if any(value in key for value in known) else key
            raise ValueError(
                f"{shown} {reason}, and settings are part of every record; let your code read it from the environment"
            )
    return settings
