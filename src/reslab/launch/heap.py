"""Memory that a process has freed stays with it: nets allocate the same activations again at every step."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGEST, LARGEST_OF_OLD = 2**30, 2**25  # bytes; an older glibc refuses more than 32 MiB


def keep() -> bool:
    """Tell glibc's malloc to give nothing back that is smaller than this; whether it took the word.

    By its defaults every activation of more than 128 KiB comes from the kernel, page by page, and goes back to it: some
    94,000 page faults in a short run on digits at depth 8, and 16,000 without. Children inherit the setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is None:
        return False
    large = mallopt(MMAP_THRESHOLD, LARGEST) or mallopt(MMAP_THRESHOLD, LARGEST_OF_OLD)
    return bool(large and mallopt(TRIM_THRESHOLD, LARGEST))
