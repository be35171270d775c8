"""Ties a process's life to its parent's, so that a killed sweep leaves no orphan (Linux)."""

import ctypes
import os
import signal
import sys

SERVER: int | None = None  # pid of the fork server, in the server and in its children


def die_with(parent: int) -> None:
    """Be killed by the kernel when `parent` dies; leave at once if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1 is PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
