"""Files that anybody may have written, read within bounds: never a pipe, never endless, never nested without end."""

import json
import os
import re
import stat
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import yaml

LARGEST = 2**28  # bytes; the plan of 100,000 runs has fewer
DEEPEST = 32  # levels; our own records have four
FROZEN = 2**20  # bytes of a config
NESTINGS = 2000  # libyaml's calls go as deep as its input, and end the process where the stack ends
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NESTING = re.compile(r"[\[{]|[-?]\s")


def printable(text: str) -> str:
    """The same text; what could command a terminal, or is no character at all, is replaced by U+FFFD."""
    return _CONTROL.sub("\ufffd", text)


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """A regular file of at most `largest` bytes; OSError where it cannot be opened, ValueError for anything else."""
    with open(path, "rb", opener=_at_once) as file:
        size = _size(file, path)
        if size > largest:
            raise ValueError(f"{path} has {size:,} bytes, no record of ours more than {largest:,}; remove it")
        return file.read()


def first_line(path: Path) -> bytes:
    """The first line of a regular file, cut at `FROZEN` bytes. Raises what `read_bytes` does."""
    with open(path, "rb", opener=_at_once) as file:
        _size(file, path)
        return file.readline(FROZEN)


def _size(file: BinaryIO, path: Path) -> int:
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is not a file but a device, a pipe or a socket; remove it")
    return found.st_size


def _at_once(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # to open a pipe would wait for a writer


def read_lines(path: Path) -> list[str]:
    """The lines of a text; what is not UTF-8 is replaced. Raises what `read_bytes` does."""
    return read_bytes(path).decode(errors="replace").splitlines()


def parse(text: str | bytes) -> Any:
    """JSON whose texts can be printed; ValueError for what is none, or is nested beyond any record of ours."""
    try:
        text = text if isinstance(text, str) else text.decode()
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    harmless = "\\u" not in text and text.count("[") + text.count("{") <= DEEPEST and not _CONTROL.search(text)
    return value if harmless else _checked(value, DEEPEST)


def _checked(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict | list) and levels == 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        return {printable(key): _checked(inner, levels - 1) for key, inner in value.items()}
    return [_checked(inner, levels - 1) for inner in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """The same value; ValueError unless it is made of tables, lists, texts and numbers, each list in one place."""
    seen, left = set(), [(value, 0)]
    while left:
        at, level = left.pop()
        if isinstance(at, dict | list):
            if id(at) in seen or level > DEEPEST:
                raise ValueError("it is nested too deeply, or holds one part in two places")
            seen.add(id(at))
            left += [(part, level + 1) for part in (chain(at, at.values()) if isinstance(at, dict) else at)]
        elif not isinstance(at, str | int | float | None):
            raise ValueError(f"it holds a {type(at).__name__}, which no record of ours has")
    return value


class _Plain(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one in C is five times as fast
    def construct_document(self, node: yaml.Node) -> Any:
        """Refuses a node that stands in two places, since a few of them expand to any size; and one too deep."""
        seen, left = set(), [(node, 0)]
        while left:
            at, level = left.pop()
            if id(at) in seen or level > DEEPEST:
                raise yaml.YAMLError("it has aliases, or is nested more deeply than any config of ours")
            seen.add(id(at))
            inner = chain.from_iterable(at.value) if isinstance(at, yaml.MappingNode) else at.value
            left += [(part, level + 1) for part in inner] if isinstance(at, yaml.CollectionNode) else []
        return super().construct_document(node)


def parse_config(text: str) -> Any:
    """YAML as OmegaConf writes it: plain data, without tags and aliases. ValueError for anything else."""
    if len(text) > FROZEN or len(_NESTING.findall(text)) > NESTINGS:
        raise ValueError("it is larger, or nested more deeply, than any config of ours")
    try:
        return plain(yaml.load(text, Loader=_Plain))
    except Exception as error:  # a tag whose value it does not fit raises anything, IndexError too
        raise ValueError(f"it is not plain YAML: {(str(error).splitlines() or [''])[0]}") from error


def read_config(path: Path) -> Any:
    """A frozen config; OSError where there is none, ValueError for one that cannot be read."""
    try:
        return parse_config(read_bytes(path, FROZEN).decode())
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
