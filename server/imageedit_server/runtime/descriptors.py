"""File descriptors: how many there may be, how many there are, and those that are kept back.

Connections of strangers take most. So they are capped where they come in, and what paid calls need is left.
"""

import errno
import os
import resource
from collections.abc import Callable
from contextlib import suppress

OWN = 128
"""The database and its lock, the workers, the logs and the libraries."""
PER_TASK = 4
"""A task at work has a connection, a file for the answer, one for the picture, and its folder."""
FEW = 64
"""With fewer left the server wants no traffic, and takes in no pictures: the rest is for what is paid for."""
_SPARES = 4
_MOST = 1 << 20
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)
OPEN_FILES = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"


def limit() -> int:
    """Return how many this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)


def left() -> int:
    """Return how many more this process may open."""
    # Since 6.2 Linux counts them as the size of the folder; before that, and elsewhere, it is 0 or no count.
    with suppress(OSError):
        counted = os.stat(OPEN_FILES).st_size if OPEN_FILES.startswith("/proc") else 0
        return limit() - (counted or len(os.listdir(OPEN_FILES)))
    return 0


def most_connections(*, tasks: int, others: int) -> int:
    """Return how many connections may come in beside ``tasks`` at work and ``others``; at least a quarter."""
    return max(limit() - OWN - others - PER_TASK * tasks, limit() // 4)


def trouble() -> str:
    """Say that there are few left, when there are."""
    few = left()
    if few >= FEW:
        return ""
    return f"open files are nearly used up: {max(few, 0)} of {limit()} are left; raise the limit (ulimit -n)"


class Spares:
    """Descriptors that are kept open for nothing, and let go of where a paid answer would find none."""

    def __init__(self) -> None:
        self._kept: list[int] = []

    def keep(self) -> None:
        """Have as many as there should be, as far as there are."""
        with suppress(OSError):
            while len(self._kept) < _SPARES:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def use(self, opening: Callable[[], int]) -> int:
        """Open something, if need be in the place of a spare. Raises ``OSError``."""
        while True:
            try:
                return opening()
            except OSError as error:
                if error.errno not in _EXHAUSTED or not self._kept:
                    raise
                os.close(self._kept.pop())


SPARES = Spares()
"""Those of this process."""
