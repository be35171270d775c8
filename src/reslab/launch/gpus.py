"""GPUs of this machine, lent to runs by locks, which the system lets go of with their holder.

A run that wants a GPU to itself locks the GPU's file alone. Runs that share a GPU lock that file together, and each of
them another file: its place. So nobody is put beside a run that asked for the GPU alone, whichever came first, and two
commands that share by different numbers never put more runs on a GPU than the larger number. Who wants it alone waits
until all who share it have gone.
"""

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


def take(count: int, stack: contextlib.ExitStack, places: int = 1) -> str | None:
    """Names of `count` different GPUs as CUDA_VISIBLE_DEVICES has them, the emptiest ones, held until `stack` closes.

    Each is lent to `places` runs at most; 1: to nobody else. None: so many are not free.
    """
    folder, names = _folder(), resources.gpu_names()
    files = {name: f"{_scope()}{name.replace('/', '_')}" for name in names}
    taken: list[str] = []
    with contextlib.ExitStack() as held:
        for name in sorted(names, key=lambda name: _runs(folder, files[name])):
            if _lent(folder / files[name], places, held):
                taken.append(name)
            if len(taken) == count:
                stack.enter_context(held.pop_all())
                return ",".join(sorted(taken, key=names.index))
    return None


def _lent(file: Path, places: int, held: contextlib.ExitStack) -> bool:
    """Whether a GPU, or a place on it, could be locked; then it is until `held` closes."""
    with contextlib.ExitStack() as own:
        if not _locked(Path(f"{file}.lock"), fcntl.LOCK_EX if places == 1 else fcntl.LOCK_SH, own):
            return False
        if places > 1 and not any(_locked(_place(file, at), fcntl.LOCK_EX, own) for at in range(places)):
            return False
        held.enter_context(own.pop_all())
    return True


def _runs(folder: Path, file: str) -> int:
    """How many runs share a GPU now; a place that is looked at is held for that moment."""
    busy = 0
    for place in folder.glob(_place(Path(file), "*").name):
        with contextlib.ExitStack() as moment:
            busy += not _locked(place, fcntl.LOCK_EX, moment)
    return busy


def _place(file: Path, at: int | str) -> Path:
    return Path(f"{file}.place{at}.lock")


def _locked(path: Path, how: int, held: contextlib.ExitStack) -> bool:
    with contextlib.ExitStack() as own:
        try:
            fcntl.flock(own.enter_context(_opened(path)), how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        held.enter_context(own.pop_all())
    return True


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
