"""HTTP/2 by hand, for what no client library would send."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.rpc.serving import SERVICE

PATIENCE_SECONDS = 60
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
ACK = END_STREAM = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32
FRAME_BYTES = 16_384
EMPTY_MESSAGE = b"\0\0\0\0\0"
NEWEST = b"\xbe"
"""Stands for the header that was remembered last."""
LIST_MODELS = f"/{SERVICE.full_name}/ListModels".encode()

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Frame:
    """What the server sent."""

    kind: int
    stream: int
    body: bytes


def frame(kind: int, body: bytes = b"", *, stream: int = 0, flags: int = 0) -> bytes:
    """A frame as it travels."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


BEGIN = PREFACE + frame(SETTINGS)
"""What a client sends first."""


def block(headers: Iterable[Header]) -> bytes:
    """Headers as literals that nobody is to remember."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in headers)


def remembered(headers: Iterable[Header]) -> bytes:
    """Headers as literals that the other side is to remember, the last as ``NEWEST``."""
    return b"".join(b"\x40" + text(name) + text(value) for name, value in headers)


def head(*more: Header, path: bytes = LIST_MODELS) -> list[Header]:
    """The headers of a gRPC call."""
    return [
        *((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")),
        *((b"te", b"trailers"), (b"content-type", b"application/grpc"), *more),
    ]


def call(headers: Sequence[Header], stream: int = 1) -> bytes:
    """A whole call with an empty message, its headers in as many frames as they need."""
    return opened(headers, stream) + frame(DATA, EMPTY_MESSAGE, stream=stream, flags=END_STREAM)


def opened(headers: Sequence[Header], stream: int = 1) -> bytes:
    """A call whose message does not come."""
    return framed(block(headers), stream)


def framed(whole: bytes, stream: int = 1) -> bytes:
    """A header block in as many frames as it needs."""
    pieces = [whole[start : start + FRAME_BYTES] for start in range(0, len(whole), FRAME_BYTES)]
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION if at else HEADERS, piece, stream=stream, flags=END_HEADERS if at == last else 0)
        for at, piece in enumerate(pieces)
    )


@dataclass
class Peer:
    """A connection, and what the server sent on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: list[Frame] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    async def send(self, *pieces: bytes) -> None:
        """Send as fast as the server takes it, until it does not any more."""
        with suppress(ConnectionError):
            for at, piece in enumerate(pieces):
                self.writer.write(piece)
                if at % 50 == 49:
                    await self.writer.drain()
            await self.writer.drain()

    async def until(self, kind: int, stream: int = 0, *, containing: bytes = b"") -> Frame:
        """Wait for a frame of a kind on a stream."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for each in self.frames:
                    if (each.kind, each.stream) == (kind, stream) and containing in each.body:
                        return each
                assert not self.ended, self.frames[-3:]
                self.news.clear()
                await self.news.wait()

    async def status(self, stream: int = 1) -> int:
        """Wait for the end of a call; return its gRPC status."""
        trailers = await self.until(HEADERS, stream, containing=b"grpc-status")
        told = trailers.body.partition(b"grpc-status")[2]
        return int(told[1 : 1 + told[0]])

    async def answered(self) -> None:
        """Wait until the server has read everything: it answers a ping in turn."""
        await self.send(frame(PING, b"the last"))
        await self.until(PING, containing=b"the last")

    async def read(self) -> None:
        """Take what the server sends; settings and pings are confirmed only by ``confirm``."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                begin = await self.reader.readexactly(9)
                body = await self.reader.readexactly(int.from_bytes(begin[:3], "big"))
                self.frames.append(Frame(begin[3], int.from_bytes(begin[5:], "big"), body))
                self.news.set()
        self.ended = True
        self.news.set()

    async def confirm(self) -> None:
        """Confirm the server's settings: from then on its limits hold."""
        await self.until(SETTINGS)
        await self.send(frame(SETTINGS, flags=ACK))


@asynccontextmanager
async def peer(address: str, begin: bytes = BEGIN, *, reads: bool = True) -> AsyncIterator[Peer]:
    """Connect and begin to speak HTTP/2; not to read is an attack too."""
    host, port = address.split(":")
    found = Peer(*await asyncio.open_connection(host, int(port)))
    reading = asyncio.ensure_future(found.read()) if reads else None
    try:
        await found.send(begin)
        yield found
    finally:
        if reading is not None:
            reading.cancel()
        found.writer.transport.abort()
        with suppress(ConnectionError):
            await found.writer.wait_closed()


def integer(number: int, bits: int, first: int = 0) -> bytes:
    """Encode a number as HPACK does: in ``bits`` of the ``first`` byte, and as many bytes as it takes."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([first | number])
    out, number = bytearray([first | most]), number - most
    while number > 127:
        out.append(number % 128 + 128)
        number //= 128
    out.append(number)
    return bytes(out)


def text(content: bytes) -> bytes:
    """Encode a text as HPACK does, without Huffman's code."""
    return integer(len(content), 7) + content
