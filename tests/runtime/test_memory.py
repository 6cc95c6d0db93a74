"""How the allocator divides the memory of a server (P18)."""

import subprocess
import sys

import pytest

ARENAS = """
import ctypes, sys, threading
from imageedit_server.runtime.memory import share_one_arena
libc = ctypes.CDLL(None)
if len(sys.argv) > 1:
    share_one_arena()
meet = threading.Barrier(9)
libc.malloc.restype = ctypes.c_void_p

def allocate():
    meet.wait()
    libc.malloc(100_000)
    meet.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
[thread.start() for thread in threads]
meet.wait()
meet.wait()
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator alone has arenas")
def test_all_threads_share_one_arena() -> None:
    """And would not by themselves."""
    alone, shared = (
        subprocess.run(
            [sys.executable, "-c", ARENAS, *how], capture_output=True, text=True, check=True
        ).stdout
        for how in ([], ["shared"])
    )
    assert alone.count("<heap nr=") > 1
    assert shared.count("<heap nr=") == 1
