"""Large blocks that are freed leave the process, also from between small ones that stay."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys
from pathlib import Path
from server.memory import return_large_blocks

MIB = 2**20
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def held_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // MIB

def use_and_free():
    blocks = []
    for _ in range(60):
        blocks.append(libc.malloc(8 * MIB))
        ctypes.memset(blocks[-1], 1, 8 * MIB)
        libc.malloc(900)
    for block in blocks:
        libc.free(block)

return_large_blocks()
before = held_mib()
use_and_free()
use_and_free()
print(held_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_large_blocks_that_are_freed_leave_the_process() -> None:
    # Of 480 MiB almost all would stay otherwise: glibc raises its limit when the first of them is freed.
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 50
