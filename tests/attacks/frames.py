"""What else a stranger may send without end on one connection, beside what tests/rpc/attacks.py has (P25)."""

import struct
from collections.abc import Iterator

from tests.rpc import http2
from tests.rpc.attacks import streams
from tests.rpc.callers import BOB, bearer
from tests.rpc.http2 import (
    CONTINUATION,
    DATA,
    HEADERS,
    PING,
    PRIORITY,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    head,
)

INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS = 4, 3
FIELDS = 8_000
KEY = [(name.encode(), value.encode()) for name, value in bearer(BOB)]
ENDLESS_FRAMES = 30


def honest_calls() -> Iterator[bytes]:
    """Whole calls of a caller with a key, whose answers are read: what any service must bear."""
    for stream in streams():
        yield http2.call(head(*KEY), stream)


def empty_continuations() -> Iterator[bytes]:
    """A header block without an end that says nothing."""
    yield frame(HEADERS, http2.block(head()), stream=1)
    while True:
        yield frame(CONTINUATION, stream=1)


def settings() -> Iterator[bytes]:
    """Settings, each of which is to be confirmed (CVE-2019-9515)."""
    while True:
        yield frame(SETTINGS, struct.pack(">HI", MAX_CONCURRENT_STREAMS, 100) * 50)


def pings() -> Iterator[bytes]:
    """Pings, each of which is to be answered (CVE-2019-9512)."""
    while True:
        yield frame(PING, b"12345678")


def empty_data() -> Iterator[bytes]:
    """A message that never comes, in as many pieces as there may be (CVE-2019-9518)."""
    yield http2.opened(head())
    while True:
        yield frame(DATA, stream=1)


def priorities() -> Iterator[bytes]:
    """Streams that are to be before one another (CVE-2019-9513)."""
    while True:
        yield frame(PRIORITY, struct.pack(">IB", 0, 16), stream=3)


def windows() -> Iterator[bytes]:
    """Room for answers, byte by byte."""
    yield http2.opened(head())
    while True:
        yield frame(WINDOW_UPDATE, struct.pack(">I", 1), stream=1)


def open_calls() -> Iterator[bytes]:
    """More calls at once than a connection may have, of none of which the message comes."""
    for stream in streams():
        yield http2.opened(head(), stream)


def unread_calls() -> Iterator[bytes]:
    """Whole calls, for whose answers there is never room (CVE-2019-9517)."""
    yield frame(SETTINGS, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0))
    for stream in streams():
        yield http2.call(head(), stream)


def many_fields() -> Iterator[bytes]:
    """Calls with 8 000 fields of metadata each, written out."""
    fields = http2.block([(b"x", b"")] * FIELDS)
    for stream in streams():
        yield http2.framed(http2.block(head()) + fields, stream)


def endless_block() -> bytes:
    """A header block of half a MiB that becomes 37 MiB and does not end, for one connection."""
    entry = http2.remembered([(b"k", b"v" * 100)])
    piece = frame(CONTINUATION, http2.NEWEST * http2.FRAME_BYTES, stream=1)
    return frame(HEADERS, http2.block(head()) + entry, stream=1) + piece * ENDLESS_FRAMES
