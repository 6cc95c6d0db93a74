"""Whether the disk has room for one more answer, beside what was promised to others and must stay free."""

from dataclasses import dataclass

from imageedit_server.answers import disk_calls


class NoPlace(Exception):
    """No answer can be stored now, so no paid call may be made. It may pass; the message says why."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Room for the first ``size_bytes`` of a file, of which ``promised_bytes`` could not be set aside."""

    size_bytes: int
    promised_bytes: int


NOTHING = Taken(0, 0)


class Room:
    """Room on the disk of the answers, of which ``min_free_bytes`` stay free. Used in their one thread."""

    def __init__(self, min_free_bytes: int) -> None:
        self._min_free_bytes = min_free_bytes
        self._promised_bytes = 0
        """What the file system could not set aside, and will be written."""

    def take(self, descriptor: int, size_bytes: int) -> Taken:
        """Take room for a file that has none, to ``give_back`` with the file.

        Raises ``NoPlace`` where it would leave too little, and ``OSError``.
        """
        free = disk_calls.free_bytes(descriptor) - self._promised_bytes
        if free - size_bytes < self._min_free_bytes:
            raise NoPlace("The disk has no room for an answer.")
        if disk_calls.set_aside(descriptor, size_bytes):
            return Taken(size_bytes, 0)
        self._promised_bytes += size_bytes
        return Taken(size_bytes, size_bytes)

    def give_back(self, taken: Taken) -> None:
        """Take back a promise: its file is written, or gone."""
        self._promised_bytes -= taken.promised_bytes
