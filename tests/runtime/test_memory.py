"""One heap for all threads, as the allocator itself counts them."""

import os
import re
import subprocess
import sys

import pytest

HEAPS = re.compile(r"<heap nr=")
ALLOCATE_IN_THREADS = """
import ctypes, sys, threading
from imageedit_server.runtime.memory import keep_one_heap

if sys.argv[1] == "one":
    keep_one_heap()
libc, all_are_here = ctypes.CDLL(None), threading.Barrier(4)

def allocate():
    all_are_here.wait()
    libc.malloc(1000)
    all_are_here.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""

pytestmark = pytest.mark.skipif(
    not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="glibc alone counts heaps",
)


def heaps(wish: str, environment: dict[str, str]) -> int:
    """How many heaps a process with four threads has, which asked for one heap or did not."""
    told = subprocess.run(
        [sys.executable, "-c", ALLOCATE_IN_THREADS, wish],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return len(HEAPS.findall(told.stdout))


def test_all_threads_share_one_heap() -> None:
    """Without the wish they do not; and what an operator set is left alone."""
    assert heaps("one", {}) == 1
    assert heaps("any", {}) > 1
    assert heaps("one", {"MALLOC_ARENA_MAX": "3"}) == 3
