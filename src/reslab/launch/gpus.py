"""GPUs of this machine, lent to one run at a time: a lock file each, which the system lets go of with its holder."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from reslab.launch import resources


def lock_folder() -> Path:
    """The same for every command and every user of this machine."""
    return Path(tempfile.gettempdir()) / "reslab-gpus"


def take(count: int, stack: contextlib.ExitStack) -> str | None:
    """Names of `count` free GPUs as CUDA_VISIBLE_DEVICES has them, held until `stack` closes.

    None: so many are not free.
    """
    folder = lock_folder()
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        folder.chmod(0o1777)
    held = contextlib.ExitStack()
    names: list[str] = []
    for name in resources.gpu_names():
        file = held.enter_context(_opened(folder / f"{name.replace('/', '_')}.lock"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        names.append(name)
        if len(names) == count:
            stack.enter_context(held)
            return ",".join(names)
    held.close()
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    # no O_CREAT on a file of another user in a sticky folder: the kernel may refuse that (fs.protected_regular)
    flags = os.O_RDWR if path.exists() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
