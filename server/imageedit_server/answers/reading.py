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


def stored_in(folder: Path, *, clean: bool = False) -> Iterator[Stored]:
    """Yield the answers in a folder; with ``clean`` remove the files that hold none.

    What cannot be read, however often it is tried, is left out, and a folder that was not made yet has none.
    Raises ``OSError`` for the folder alone.
    """
    for path in _patiently(lambda: [*folder.iterdir()] if folder.exists() else []):
        try:
            stored = _patiently(partial(_stored, path))
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError as error:
            _log.error("an answer cannot be read before the next start: %s", error.strerror)
            continue
        if stored is not None:
            yield stored
        elif clean:
            with suppress(OSError):  # the next start removes it; the answers beside it count today
                path.unlink(missing_ok=True)


def _patiently(disk_call: Callable[[], T]) -> T:
    """Try again what may pass: an answer that a start leaves out is a payment whose end nobody knows."""
    for pause_seconds in PAUSES_SECONDS:
        try:
            return disk_call()
        except FileNotFoundError:
            raise
        except OSError:
            time.sleep(pause_seconds)
    return disk_call()


def _stored(path: Path) -> Stored | None:
    with _opened(path) as descriptor:
        asked = layout.read_asked(descriptor)
        if asked is None or not layout.has_head(descriptor):
            return None
        size = layout.size_of_body(descriptor)
        return Stored(path=path, asked=asked, size_bytes=size, tried=kept.tried_by(path))


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
