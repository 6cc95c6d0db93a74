"""Answers read back from their files, beside the server that writes them or without one."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from imageedit_server.answers import kept, layout
from imageedit_server.answers.layout import Asked
from imageedit_server.outbound.answers import Answer

MOST_READ_BYTES = 256 * 1024 * 1024
"""The largest answer that any call takes."""
PAUSES_SECONDS = (0.01, 0.05, 0.2, 0.5)
"""Between tries of a call of the system that fails. Only for threads that may wait."""

T = TypeVar("T")


_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A file that holds an answer. ``tried`` is the version that could not read it, empty for none."""

    path: Path
    asked: Asked
    size_bytes: int
    """Of the body."""
    tried: str = ""


def stored_in(
    folder: Path, *, clean: bool = False, left_out: Callable[[Path], None] = lambda _: None
) -> Iterator[Stored]:
    """Yield the answers in a folder; with ``clean`` remove the files that hold none.

    What cannot be read, however often it is tried, is told to ``left_out``, and a folder that was not made
    yet has none. Raises ``OSError`` for the folder alone.
    """
    for path in _patiently(lambda: [*folder.iterdir()] if folder.exists() else []):
        try:
            stored = _patiently(partial(stored_at, path))
        except OSError as error:
            _log.error("an answer cannot be read: %s: %s", path, error.strerror)
            left_out(path)
            continue
        if stored is not None:
            yield stored
        elif clean:
            with suppress(OSError):  # the next start removes it; the answers beside it count today
                path.unlink(missing_ok=True)


def _patiently(disk_call: Callable[[], T]) -> T:
    """Try again what may pass: an answer that a start leaves out is a payment whose end nobody knows."""
    for pause_seconds in PAUSES_SECONDS:
        with suppress(OSError):
            return disk_call()
        time.sleep(pause_seconds)
    return disk_call()


def stored_at(path: Path) -> Stored | None:
    """Return the answer in a file; None where there is none, or no file any more. Raises ``OSError``."""
    with suppress(FileNotFoundError), _opened(path) as descriptor:
        asked = layout.read_asked(descriptor)
        if asked is not None and layout.has_head(descriptor):
            size = layout.size_of_body(descriptor)
            return Stored(path=path, asked=asked, size_bytes=size, tried=kept.tried_by(path))
    return None


def read_file(path: Path) -> Answer | None:
    """Return what a file holds, None where no head came. Raises ``OSError``."""
    with _opened(path) as descriptor:
        return layout.read_answer(descriptor, most_bytes=MOST_READ_BYTES)


def asked_in(path: Path) -> Asked | None:
    """Return who asked for the answer in a file. Raises ``OSError``."""
    with _opened(path) as descriptor:
        return layout.read_asked(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
