"""`reslab VERB --help`: what a verb does and its settings, as its config says it."""

from reslab.launch.paths import conf_folder

HIDDEN = ("hydra:", "defaults:", "  - ", "# @package")


def helped(verb: str, what: str) -> str:
    """The comments and values of conf/VERB.yaml, and of each choice in conf/VERB/."""
    conf = conf_folder()
    parts = [f"reslab {verb}: {what}"]
    files = [conf / f"{verb}.yaml", *sorted((conf / verb).glob("*.yaml"))]
    for file in filter(lambda file: file.is_file(), files):
        lines = [line for line in file.read_text().splitlines() if not line.startswith(HIDDEN)]
        parts.append("\n".join([*([f"{verb}={file.stem}"] if file.parent != conf else []), *lines]))
    return "\n\n".join(parts)
