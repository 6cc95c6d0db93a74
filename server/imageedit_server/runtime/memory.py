"""The memory of this process: one heap for all threads, which gives back what it keeps for later."""

import ctypes
import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give back by themselves
_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # the same
_M_ARENA_MAX = -8


def resident_bytes() -> int:
    """Return how much memory this process has, 0 where the system does not tell."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def give_back() -> None:
    """Give every page back that holds nothing. Some milliseconds for some hundred MiB; holds no Python up."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def keep_one_heap() -> None:
    """Let all threads of this process share one heap, unless its environment says otherwise.

    Else glibc makes eight for each core. gRPC reads in one thread and lets go in another, so that frames
    which are skipped as they come left holes in each: 900 MiB from one connection, 150 in one heap. It is
    for threads that begin after this.
    """
    if _mallopt is not None and not os.environ.keys() & {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"}:
        _mallopt(_M_ARENA_MAX, 1)
