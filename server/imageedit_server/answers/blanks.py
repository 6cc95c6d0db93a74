"""Files made before they are needed: at a paid call no name, inode, descriptor or room may be missing."""

import logging
import os
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from imageedit_server.answers import disk_calls
from imageedit_server.answers.room import NOTHING, NoPlace, Room, Taken

AT_ONCE = 16
FEW = 8
"""With so many left, more are made."""
MOST_AHEAD_BYTES = 6 * 1024 * 1024
"""No more room is taken ahead for each: enough for an answer with a picture."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty file, open, whose name is durable."""

    path: Path
    descriptor: int
    taken: Taken = NOTHING


class Blanks:
    """Blanks of one folder. Worked with in the thread for answers, but ``take`` may be called on the loop."""

    def __init__(self, folder: Path, room: Room) -> None:
        self._folder = folder
        self._room = room
        self._ahead_bytes = 0
        """What one usually needs: what the largest has needed, up to ``MOST_AHEAD_BYTES``."""
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

    def make(self) -> int:
        """Make ``AT_ONCE``, or as many as can be had; their names are durable with one fsync. Blocks.

        Returns how many there are more.
        """
        made: list[Blank] = []
        try:
            disk_calls.make_folder(self._folder)
            while len(made) < AT_ONCE:
                path = self._folder / secrets.token_hex(16)
                made.append(self._with_room_ahead(Blank(path, disk_calls.create(path))))
        except OSError as error:
            _log.warning("no files for answers can be made: %s", error.strerror)
        return self._announce(made)

    def with_room(self, blank: Blank, size_bytes: int) -> Blank:
        """Return a blank with room for so much. Raises ``NoPlace`` and ``OSError``: then it is as it was."""
        if size_bytes <= MOST_AHEAD_BYTES:
            self._ahead_bytes = max(self._ahead_bytes, size_bytes)
        taken = self._room.take(blank.descriptor, size_bytes)
        self._room.give_back(blank.taken)
        return replace(blank, taken=taken)

    def close(self, blank: Blank) -> None:
        """Close a file that stays."""
        self._room.give_back(blank.taken)
        with suppress(OSError):
            os.close(blank.descriptor)

    def remove(self, blank: Blank) -> None:
        """Remove a file and close it. What cannot be removed now is removed at the next start."""
        with suppress(OSError):
            blank.path.unlink(missing_ok=True)
        self.close(blank)

    def discard(self) -> None:
        """Remove what was not used. Blocks."""
        while blank := self.take():
            self.remove(blank)

    def _with_room_ahead(self, blank: Blank) -> Blank:
        """Take the room that is usually needed, where the file system sets it aside."""
        try:
            taken = self._room.take(blank.descriptor, self._ahead_bytes) if self._ahead_bytes else NOTHING
        except (NoPlace, OSError):
            return blank  # which says so at its call
        if taken.promised_bytes:
            self._room.give_back(taken)
            return blank
        return replace(blank, taken=taken)

    def _announce(self, made: list[Blank]) -> int:
        try:
            if made:
                disk_calls.sync_folder(self._folder)
        except OSError as error:
            _log.warning("files for answers have no durable names: %s", error.strerror)
            for blank in made:
                self.remove(blank)
            return 0
        self._ready += made
        return len(made)
