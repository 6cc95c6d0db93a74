"""The memory of this process: how the allocator divides it, and what it keeps for later.

Of other allocators than glibc's nothing is asked: they have no such calls, and no need of them.
"""

import ctypes
import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
_M_ARENA_MAX = -8


def resident_bytes() -> int:
    """Return how much memory this process has, 0 where the system does not tell."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def share_one_arena() -> None:
    """Let all threads allocate from one arena; to be called before there are any.

    Else each thread that deals with pictures has holes of some megabytes of its own, where the next
    picture of another does not fit. They take turns in Python anyway.
    """
    if _mallopt is not None:
        _mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give every page back that holds nothing. Some milliseconds for some hundred MiB; holds no Python up."""
    if _malloc_trim is not None:
        _malloc_trim(0)
