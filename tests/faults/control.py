"""What the shim is told and tells: some pages that judge and server both map; ``shim.c`` has the layout."""

import ctypes
import errno
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self


class Call(IntEnum):
    """The kinds of calls that are counted, each by itself."""

    OPEN = 0
    WRITE = 1
    FSYNC = 2
    RENAME = 3
    TRUNCATE = 4
    SOCKET = 5
    CONNECT = 6
    ACCEPT = 7
    SEND = 8
    RECV = 9
    READ = 10
    """Of files alone."""
    UNLINK = 11
    MKDIR = 12


@dataclass(frozen=True, slots=True)
class Fault:
    """The ``first`` call of a kind, counted from 1, and the ``times - 1`` behind it fail with ``error``."""

    call: Call
    first: int
    error: int
    times: int = 1

    def __str__(self) -> str:
        more = f" and {self.times - 1} more" if self.times > 1 else ""
        return f"{self.call.name.lower()} {self.first}{more} {errno.errorcode[self.error]}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server did meanwhile: which call failed how often, and what the first three were about.

    ``trace``, of a time without a fault: every call, with its path or the ports of its connection.
    """

    failed: int
    call: Call | None
    about: Sequence[str]
    trace: Sequence[tuple[Call, str]]


class _Call(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("about", ctypes.c_char * 120))


class _Page(ctypes.Structure):
    _fields_ = (
        ("armed", ctypes.c_uint32),
        ("kind", ctypes.c_int32),
        ("first", ctypes.c_uint32),
        ("times", ctypes.c_uint32),
        ("error", ctypes.c_int32),
        ("failed", ctypes.c_uint32),
        ("counts", ctypes.c_uint32 * len(Call)),
        ("calls", ctypes.c_uint32),
        ("trace", _Call * 8192),
        ("failures", _Call * 3),
    )


class Control:
    """Arms the shim of the process that begins at ``path``. Used as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(ctypes.sizeof(_Page)))

    def __enter__(self) -> Self:
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._page = _Page.from_buffer(self._map)
        return self

    def __exit__(self, *_error: object) -> None:
        del self._page
        self._map.close()

    def arm(self, fault: Fault | None) -> None:
        """Count from zero, and let ``fault`` happen; with None only count."""
        page = self._page
        page.kind, page.first, page.times, page.error = (
            (fault.call, fault.first, fault.times, fault.error) if fault else (-1, 0, 0, 0)
        )
        page.failed, page.calls, page.failures = 0, 0, type(page.failures)()
        page.counts = type(page.counts)()
        page.armed = 1

    def disarm(self) -> Seen:
        """Let nothing fail any more; return what was seen."""
        page = self._page
        page.armed = 0
        calls = page.trace[: page.calls] if page.kind < 0 else []
        trace = [(Call(call.kind), _text(call.about)) for call in calls]
        about = [_text(failure.about) for failure in page.failures[: page.failed]]
        return Seen(page.failed, Call(page.kind) if page.kind >= 0 else None, about, trace)


def _text(about: bytes) -> str:
    return about.decode(errors="replace")
