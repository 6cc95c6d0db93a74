"""Whether what a process has open still stands under its name, or was deleted, moved away or replaced."""

import errno
import os
from pathlib import Path
from weakref import finalize

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)


class FilesLost(Exception):
    """What is served does not stand under its name any more; the message is the sentence for the operator."""


class StandingFolder:
    """The folder at ``path`` when this was made, and how many folders it has. Raises ``OSError``.

    It is held open as long as this lives, so that no other gets its number.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finalize(self, os.close, descriptor)
        self._found = os.fstat(descriptor)

    def lost(self) -> str:
        """Return what happened to it since, empty for nothing. Blocks for as long as the disk does."""
        return lost(self._path, self._found, links=self._found.st_nlink)


def lost(path: Path, before: os.stat_result, *, links: int = 1) -> str:
    """Return what happened to what stood at ``path`` before, empty for nothing that is certain.

    ``links`` is the least it must have: a folder has one for each folder in it, on most file systems.
    """
    try:
        found = path.stat()
    except OSError as error:
        return f"{path.name} is gone from {path.parent}" if error.errno in _GONE else ""
    if not os.path.samestat(found, before):
        return f"{path.name} was replaced in {path.parent}"
    return f"{path.name} in {path.parent} has lost what was in it" if found.st_nlink < links else ""
