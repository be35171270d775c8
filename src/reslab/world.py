"""The processes that train one net together: which one this is, and what they tell one another.

Every function is the identity where a run has one process, so callers need not ask.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(minutes=10)
"""How long ranks wait for one another, at the start and in a collective; a rank's parent looks closer."""


def join(*, rank: int, size: int, meeting_point: str, backend: str) -> None:
    """Meet the other ranks; `meeting_point` is a file:// or tcp:// address that rank 0 opens."""
    dist.init_process_group(backend, init_method=meeting_point, rank=rank, world_size=size, timeout=PATIENCE)


def leave() -> None:
    """Let go of the other ranks, once all have come this far."""
    if size() > 1:
        dist.barrier()
        dist.destroy_process_group()


_aside = False


@contextmanager
def aside() -> Iterator[None]:
    """Within the block this process acts as if it were the only one: the others are not asked, and may go on."""
    global _aside
    _aside = True
    try:
        yield
    finally:
        _aside = False


def size() -> int:
    """How many ranks there are."""
    if _aside:
        return 1
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which one this is, from 0."""
    return dist.get_rank() if size() > 1 else 0


def total(values: Tensor) -> Tensor:
    """The sum over ranks, in place."""
    if size() > 1:
        dist.all_reduce(values, dist.ReduceOp.SUM)
    return values


def earliest(step: Tensor) -> Tensor:
    """The least of the ranks' steps that are not negative, in place; negative where all are."""
    if size() > 1:
        never = torch.iinfo(step.dtype).max
        step.copy_(torch.where(step < 0, never, step))
        dist.all_reduce(step, dist.ReduceOp.MIN)
        step.copy_(torch.where(step == never, -1, step))
    return step


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Give every rank the tensors of rank 0, in place."""
    if size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def must_agree(what: str, value: str) -> None:
    """ValueError on every rank unless all hold the same text."""
    if size() == 1:
        return
    digest = hashlib.sha256(value.encode()).hexdigest()
    found: list[str] = [""] * size()
    dist.all_gather_object(found, digest)
    differing = [str(at) for at, other in enumerate(found) if other != found[0]]
    if differing:
        raise ValueError(
            f"rank {', '.join(differing)} has another {what} than rank 0: "
            "all nodes must see the same outputs folder and run the same command"
        )
