"""Online, offline or disabled: decided from settings and from what is configured here, asking nobody."""

import netrc
import os
from urllib.parse import urlsplit

HOSTS = ("api.wandb.ai", "forge.coreweave.com", "api.forge.coreweave.com")
"""Machines under which `wandb login` writes a key, where no server of one's own is configured."""

NO_KEY = (
    "W&B has no key here, so nothing can be pushed; set WANDB_API_KEY or use `wandb login`, then push again "
    "(the records stay in outputs: nothing is lost by waiting)"
)


def resolve_mode(mode: str) -> str:
    """`auto` is online where a key is configured, else offline; WANDB_MODE wins over `auto`."""
    if mode != "auto":
        return mode
    wanted = os.environ.get("WANDB_MODE")
    if wanted in ("online", "offline", "disabled"):
        return wanted
    return "online" if has_key() else "offline"


def has_key() -> bool:
    """Whether WANDB_API_KEY or netrc holds a key for the configured server; asks nobody."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    own = urlsplit(os.environ.get("WANDB_BASE_URL", "")).netloc
    try:
        known = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return own in known if own else any(host in HOSTS or "wandb" in host for host in known)
