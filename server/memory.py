"""Memory that was needed for a moment is given back."""

from __future__ import annotations

import ctypes
import sys

# Larger blocks come from the system and return to it when they are freed. By itself glibc raises this limit
# to as much as 32 MiB once such a block was freed, and keeps what is smaller: after a few large batches or
# images hundreds of megabytes stay, in pieces between others.
LARGE_BYTES = 2**20
# The names of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def return_large_blocks() -> None:
    """Have large blocks of this process returned to the system at once. Only glibc has to be told."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)
