"""What a process has freed stays with it: counted in page faults, which the kernel counts exactly."""

import subprocess
import sys

import pytest

from reslab.launch import heap

CHURN = """
import resource, sys
from reslab.launch import heap
if sys.argv[1] == "kept":
    assert heap.keep()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def churn():
    before = faults()
    held = [bytearray(b"x") * 2**20 for _ in range(40)]
    del held
    return faults() - before
first, *later = [churn() for _ in range(5)]
print(first, max(later))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_step_that_allocates_what_the_last_one_freed_has_no_page_faults():
    kept, plain = (_churn(how) for how in ("kept", "plain"))
    assert min(kept[0], *plain) > 40 * 2**20 / 4096 / 2, "without the setting every step pays"
    assert kept[1] < 40 * 2**20 / 4096 / 10


def test_where_there_is_no_such_malloc_nothing_happens(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    assert not heap.keep()


@pytest.mark.parametrize(("accepted", "asked"), [(2**30, [2**30]), (2**25, [2**30, 2**25]), (0, [2**30, 2**25])])
def test_an_old_glibc_gets_the_most_that_it_takes(monkeypatch, accepted, asked):
    """Where it refuses both, its own moving thresholds stay: a fixed one for the heap alone would end them."""
    said = []

    def mallopt(what: int, value: int) -> int:
        said.append((what, value))
        return int(what == heap.TRIM_THRESHOLD or value <= accepted)

    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: type("libc", (), {"mallopt": staticmethod(mallopt)}))
    assert heap.keep() == (accepted > 0)
    assert [value for what, value in said if what == heap.MMAP_THRESHOLD] == asked
    assert (heap.TRIM_THRESHOLD in [what for what, _ in said]) == (accepted > 0)


def _churn(how: str) -> list[int]:
    said = subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, text=True, check=True).stdout
    return [int(word) for word in said.split()]
