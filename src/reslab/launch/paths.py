"""Where the shipped conf/ lies."""

from pathlib import Path


def conf_folder() -> Path:
    """conf/ of the checkout that this file belongs to, else the copy inside the installed package."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1]
    return checkout / "conf" if (checkout / "pyproject.toml").is_file() else package / "conf"
