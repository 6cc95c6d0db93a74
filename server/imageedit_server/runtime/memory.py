"""The memory of this process: what the allocator keeps for later is given back to the system."""

import ctypes
import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give back by themselves


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
