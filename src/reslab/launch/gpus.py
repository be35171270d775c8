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
    folder = _folder()
    held = contextlib.ExitStack()
    names: list[str] = []
    for name in resources.gpu_names():
        file = held.enter_context(_opened(folder / f"{_scope()}{name.replace('/', '_')}.lock"))
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


def _scope() -> str:
    """SLURM lends GPUs itself, and may number those of each job from 0: they are not those of another job."""
    if not {"SLURM_JOB_GPUS", "SLURM_STEP_GPUS"} & set(os.environ):
        return ""
    return "-".join(os.environ.get(name, "") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")) + "-"


def _folder() -> Path:
    """Made for all users; one that somebody else made to lead elsewhere is not used."""
    folder = lock_folder()
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
    if folder.is_symlink() or not folder.is_dir():
        raise OSError(f"{folder} is not a folder of locks; remove it")
    return folder


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        os.fchmod(descriptor, 0o666)
    except FileExistsError:  # opened without O_CREAT: the kernel may refuse that for another user's file here
        descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
