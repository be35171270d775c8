"""Words of a command line, made fit for Hydra."""

from collections.abc import Collection

FOLDERS = ("run", "to", "intervention.run")


def quoted(argument: str) -> str:
    """`run=FOLDER` with quotes: a folder's name holds `seed=0`, which Hydra would read as an override of its own."""
    name, _, value = argument.partition("=")
    quote = "\\'"
    bare = name in FOLDERS and value != "" and value[:1] not in ("'", '"')
    return f"{name}='{value.replace(chr(39), quote)}'" if bare else argument


def listed(argument: str, keys: Collection[str]) -> str:
    """`depth=20,56` as the list `depth=[20,56]`, for the keys whose values are lists."""
    name, equals, value = argument.partition("=")
    return f"{name}=[{value}]" if name in keys and equals and value[:1] != "[" else argument
