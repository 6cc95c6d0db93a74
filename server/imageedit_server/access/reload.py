"""Files that are read again when they change: keys and certificates, without a restart."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Unusable(Exception):
    """A file cannot be used; the message is the whole sentence for the operator, and holds no secret."""


class Reloaded(Generic[T]):
    """What some files say. ``value`` stays as it was while they cannot be used.

    ``read`` makes the value from the files, or raises ``Unusable`` as this constructor then does.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths = paths
        self._read = read
        self._seen = self._latest = self._signature()
        self.value = read()

    def look(self) -> bool:
        """Read the files if they changed; say whether there is a new value. Blocks for as long as reading.

        A change is taken up when it is still the same at the next look: a file that is just being written
        looks empty, which would take every key away.
        """
        signature = self._signature()  # before reading: what is written meanwhile is seen the next time
        settled, self._latest = signature == self._latest, signature
        if signature == self._seen or not settled:
            return False
        self._seen = signature
        try:
            self.value = self._read()
        except Unusable as error:
            _log.error("%s; what it said before still holds", error)
            return False
        _log.info("read %s again", ", ".join(map(str, self._paths)))
        return True

    def _signature(self) -> list[tuple[int, ...]]:
        return [_signature(path) for path in self._paths]


def _signature(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def read_bytes(setting: str, path: Path) -> bytes:
    """Read a file that a setting names. Raises ``Unusable``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unusable(f"{setting}: cannot read {path}: {error.strerror}") from None
