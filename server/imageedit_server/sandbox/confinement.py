"""What a worker process may do and take (P18, P34). Runs in what workers are forked from, and in the worker.

The kernel keeps it, so no decoder evades it. Linux keeps all of it; elsewhere a worker has the limits that
the system offers and may read what the service's user may.
"""

import ctypes
import os
import resource
import signal
import sys

from imageedit_server.sandbox.limits import limit
from imageedit_server.sandbox.privileges import close_memory, drop_capabilities, open_nothing
from imageedit_server.sandbox.system_calls import allow_few, take_no_privileges

_MOST_FILES = 64
_NOTHING = (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


def confine_parent() -> None:
    """Confine what workers are forked from, which imports what they need: no core dump, no way into it."""
    limit(resource.RLIMIT_CORE, 0)
    close_memory()


def confine() -> None:
    """Give up for good what no job needs: files by name, the network, other processes, all privileges.

    What is imported is there; the standard streams lead nowhere. Raises ``OSError`` where the kernel that
    could confine it does not: such a worker must not look into a picture.
    """
    _silence()
    for what in _NOTHING:
        limit(what, 0)
    limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    if sys.platform == "linux":
        close_memory()
        drop_capabilities()
        die_with_parent()  # after that, since a change of what a process may do can undo it
        take_no_privileges()
        open_nothing()
        allow_few()


def die_with_parent() -> None:
    """Let the kernel kill the process at once when its parent ends; a fork has to say so itself."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _silence() -> None:
    """Neither read the server's orders nor write into its log."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.close(nowhere)
