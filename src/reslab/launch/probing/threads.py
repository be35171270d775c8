"""Measuring has the machine to itself: as many threads as cores, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reslab.launch.resources import cores


@contextmanager
def every_core() -> Iterator[None]:
    """Within the block torch uses every core; afterwards as many threads as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(cores())
    try:
        yield
    finally:
        torch.set_num_threads(threads)
