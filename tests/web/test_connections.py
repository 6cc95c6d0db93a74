"""What strangers do to the HTTP door: many connections, some without end, and what is no HTTP (F62)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

from imageedit_server.web import server
from imageedit_server.web.app import http_app
from tests.rpc.waiting import eventually

PATIENCE_SECONDS = 60
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /callbacks/kie/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class Vendorless:
    """An application whose callbacks wait until ``answer`` is set."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.under_way = 0

    async def receive(self, provider: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        self.under_way += 1
        await self.answer.wait()

    async def measure(self) -> None:
        """Nothing is measured."""


class Caller:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes = GET) -> bytes:
        """Send a request; return the status line, nothing when the connection was closed instead."""
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> bytes:
        """Read an answer of the two characters that all have here, and a line break."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await self.reader.readuntil(b"\r\n\r\n")
                await self.reader.readuntil(b"\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            return b""
        return head.split(b"\r\n")[0]

    async def closed(self) -> bool:
        """Wait until the server closed the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await self.reader.read() == b""
        return True


class Door:
    """The HTTP door alone, and those who came to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.callers: list[Caller] = []

    async def connect(self) -> Caller:
        """Open a connection."""
        self.callers.append(Caller(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.callers[-1]

    async def leave(self) -> None:
        """Close all connections."""
        for caller in self.callers:
            caller.writer.transport.abort()
            with suppress(ConnectionError):
                await caller.writer.wait_closed()


@asynccontextmanager
async def opened(app: Vendorless | None = None) -> AsyncIterator[Door]:
    """Open the door."""
    app = app or Vendorless()
    async with server.http_door("127.0.0.1", 0, http_app(lambda: "", app.receive, app.measure)) as port:
        door = Door(port)
        try:
            yield door
        finally:
            await door.leave()


async def test_of_too_many_connections_the_one_that_waits_longest_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever opens many and says nothing keeps neither probes nor vendors out."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with opened() as door:
        callers = [await door.connect() for _ in range(3)]
        for caller in callers:
            assert await caller.ask() == b"HTTP/1.1 200 OK"
        assert await callers[0].ask() == b"HTTP/1.1 200 OK"  # now the second waits longest
        late = await door.connect()
        assert await late.ask() == b"HTTP/1.1 200 OK"
        assert await callers[1].closed()
        for caller in (callers[0], callers[2], late):
            assert await caller.ask() == b"HTTP/1.1 200 OK"


async def test_a_request_under_way_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all are being served it is the new one that is sent away, until one of them is done."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    app = Vendorless()
    async with opened(app) as door:
        busy = [await door.connect() for _ in range(2)]
        for caller in busy:
            caller.writer.write(POST)
        await eventually(lambda: app.under_way == 2)
        late = await door.connect()
        assert await late.ask() == b""
        app.answer.set()
        for caller in busy:
            assert await caller.answer() == b"HTTP/1.1 200 OK"
        assert await (await door.connect()).ask() == b"HTTP/1.1 200 OK"


async def test_a_flood_of_connections_is_bounded() -> None:
    """As many as there may be; the last one is served."""
    async with opened() as door:
        flood = [await door.connect() for _ in range(server.MAX_CONNECTIONS + 50)]
        assert await flood[-1].ask() == b"HTTP/1.1 200 OK"
        for caller in flood[:50]:
            assert await caller.closed()
        assert await flood[50].ask() == b"HTTP/1.1 200 OK"


async def test_an_answer_that_nobody_reads_does_not_hold_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asks for the metrics again and again and never reads them would keep their place for ever."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.1)
    lost = asyncio.Event()
    async with opened() as door:
        stalled = await door.connect()
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        stalled.writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        with server.LOST.heard_by(lost.set):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await lost.wait()


CHUNKED = b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
JUNK = {
    "bad chunk to a route that reads nothing": b"GET /healthz" + CHUNKED + b"zz\r\n",
    "bad chunk to no route": b"GET /nothing" + CHUNKED + b"zz\r\n",
    "bad chunk to another method": b"PUT /healthz" + CHUNKED + b"zz\r\n",
    "bad chunk in a callback": b"POST /callbacks/kie/token" + CHUNKED + b"2\r\n{}\r\nzz\r\n",
    "more than was announced": b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxxBAD\r\n\r\n",
    "garbage behind a request": GET + b"\0\1\2\r\n\r\n",
    "less than was announced": POST[:-1],
    "a host that is none": b"GET /healthz/ HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a path that is no text": POST.replace(b"token", b"%ff%ed%a0%80%00"),
    "WebSocket": b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a proxy's": b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_writes_nothing_into_the_log(junk: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a traceback nor a warning, however the client ends, and the door stays open (P16, F62)."""
    app = Vendorless()
    app.answer.set()
    async with opened(app) as door:
        for hang_up in (False, True):
            caller = await door.connect()
            caller.writer.write(JUNK[junk])
            await caller.writer.drain()
            if hang_up:
                caller.writer.transport.abort()
            else:
                caller.writer.write_eof()
            with suppress(ConnectionError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    assert not (await caller.reader.read()).startswith(b"HTTP/1.1 5")
        assert await (await door.connect()).ask() == b"HTTP/1.1 200 OK"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("more", [b"zz\r\n", b"2\r\n{}\r\nzz\r\n"])
async def test_junk_behind_an_answer_writes_nothing_into_the_log(
    more: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer may be there before its request is whole; what is wrong with the rest needs no other one."""
    async with opened() as door:
        caller = await door.connect()
        assert await caller.ask(b"GET /healthz" + CHUNKED) == b"HTTP/1.1 200 OK"
        caller.writer.write(more)
        assert await caller.closed()
        assert await (await door.connect()).ask() == b"HTTP/1.1 200 OK"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
