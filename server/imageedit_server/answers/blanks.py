"""Files that are made before they are needed: at a paid call, no name, inode or descriptor may be missing."""

import logging
import os
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imageedit_server.answers import disk_calls

AT_ONCE = 16
FEW = 8
"""With so many left, more are made."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty file, open, whose name is durable."""

    path: Path
    descriptor: int


class Blanks:
    """Blanks of one folder. Made in the thread for answers, taken there or on the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready: deque[Blank] = deque()

    @property
    def are_few(self) -> bool:
        """Whether more should be made."""
        return len(self._ready) < FEW

    def take(self) -> Blank | None:
        """Take one; None where there is none. A file is never used twice."""
        try:
            return self._ready.popleft()  # by either thread
        except IndexError:
            return None

    def make(self) -> None:
        """Make ``AT_ONCE``, or as many as can be had; their names are durable with one fsync. Blocks."""
        made: list[Blank] = []
        try:
            disk_calls.make_folder(self._folder)
            while len(made) < AT_ONCE:
                path = self._folder / secrets.token_hex(16)
                made.append(Blank(path, disk_calls.create(path)))
        except OSError as error:
            _log.warning("no files for answers can be made: %s", error.strerror)
        self._announce(made)

    def discard(self) -> None:
        """Remove what was not used. Blocks."""
        while blank := self.take():
            remove(blank)

    def _announce(self, made: list[Blank]) -> None:
        try:
            if made:
                disk_calls.sync_folder(self._folder)
        except OSError as error:
            _log.warning("files for answers have no durable names: %s", error.strerror)
            for blank in made:
                remove(blank)
        else:
            self._ready += made


def remove(blank: Blank) -> None:
    """Remove a file and close it. What cannot be removed now is removed at the next start."""
    with suppress(OSError):
        blank.path.unlink(missing_ok=True)
    with suppress(OSError):
        os.close(blank.descriptor)
