"""What a stranger may send to the gRPC door without end: frames that cost a server more than him (P25)."""

import struct
from collections.abc import Callable, Iterator
from itertools import count

from tests.rpc import http2
from tests.rpc.http2 import CONTINUATION, END_HEADERS, HEADERS, RST_STREAM, WINDOW_UPDATE, frame, head

Attack = Callable[[], Iterator[bytes]]
"""Yields whole frames, for a connection of its own that confirms no settings."""


def streams() -> Iterator[int]:
    return count(1, 2)


def resets() -> Iterator[bytes]:
    for stream in streams():
        yield http2.opened(head(), stream) + frame(RST_STREAM, struct.pack(">I", 8), stream=stream)


def resets_by_the_server() -> Iterator[bytes]:
    for stream in streams():
        yield http2.opened(head(), stream) + frame(WINDOW_UPDATE, bytes(4), stream=stream)


def continuations() -> Iterator[bytes]:
    yield frame(HEADERS, http2.block(head()), stream=1)
    while True:
        yield frame(CONTINUATION, http2.block([(b"x", b"y" * 100)] * 100), stream=1)


def references() -> Iterator[bytes]:
    for stream in streams():
        entries = http2.remembered([(b"k", b"v" * 100)]) if stream == 1 else b""
        block = http2.block(head()) + entries + http2.NEWEST * 8000
        yield frame(HEADERS, block, stream=stream, flags=END_HEADERS)


def long_references() -> Iterator[bytes]:
    """The same with a value that is as long as may be remembered."""
    for stream in streams():
        entries = http2.remembered([(b"k", b"v" * 4000)]) if stream == 1 else b""
        block = http2.block(head()) + entries + http2.NEWEST * 3000
        yield frame(HEADERS, block, stream=stream, flags=END_HEADERS)


def sizes_of_the_table() -> Iterator[bytes]:
    for stream in streams():
        block = b"\x20\x3f\xe1\x1f" * 100 + http2.block(head())
        yield frame(HEADERS, block, stream=stream, flags=END_HEADERS)


def unknown_frames() -> Iterator[bytes]:
    while True:
        yield frame(0x77, bytes(16_000))


ATTACKS: tuple[Attack, ...] = (
    *(resets, resets_by_the_server, continuations, references, long_references),
    *(sizes_of_the_table, unknown_frames),
)
