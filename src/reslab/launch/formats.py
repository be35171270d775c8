"""`format=text` or `format=json`: how a verb answers; no setting of a run."""


def split_format(arguments: list[str]) -> tuple[str, list[str]]:
    """The format that is asked for, and the other words; ValueError for another one."""
    words = [word for word in arguments if word.partition("=")[0].lstrip("+") == "format"]
    wanted = words[-1].partition("=")[2] if words else "text"
    check_format(wanted)
    return wanted, [word for word in arguments if word not in words]


def check_format(wanted: str) -> str:
    """The same word; ValueError unless it is text or json."""
    if wanted not in ("text", "json"):
        raise ValueError(f"format={wanted} is unknown; it is text (for people) or json (for programs)")
    return wanted
