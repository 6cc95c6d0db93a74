"""What strangers do to the HTTP door: many connections, some without end, and what is no HTTP (F62)."""

import asyncio
import logging
import time
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


# What a proxy in front may read otherwise


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CALLBACK = b"POST /callbacks/kie/token HTTP/1.1\r\nHost: x\r\n"
HIDDEN = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH, CODING = b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"
AMBIGUOUS = {
    "length, then coding": CALLBACK + LENGTH + CODING + b"\r\n" + HIDDEN,
    "coding, then length": CALLBACK + CODING + LENGTH + b"\r\n" + HIDDEN,
    "both in odd letters": CALLBACK + b"CONTENT-LENGTH: 6\r\ntransfer-ENCODING: chunked\r\n\r\n" + HIDDEN,
    "both of a request without a body": HEALTH + LENGTH + CODING + b"\r\n" + HIDDEN,
    "two lengths that agree": CALLBACK + LENGTH + LENGTH + b"\r\nabcdef",
    "two lengths that differ": CALLBACK + LENGTH + b"Content-Length: 7\r\n\r\nabcdefg",
    "two codings": CALLBACK + CODING + CODING + b"\r\n" + HIDDEN,
    "a coding of HTTP/1.0": b"POST /callbacks/kie/token HTTP/1.0\r\n" + CODING + b"\r\n" + HIDDEN,
    "a length of many digits": CALLBACK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length with a sign": CALLBACK + b"Content-Length: +6\r\n\r\nabcdef",
    "a space before the colon": CALLBACK + b"Transfer-Encoding : chunked\r\n\r\n" + HIDDEN,
    "LF alone everywhere": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "LF alone behind the first line": b"GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
    "LF alone behind a header": HEALTH + b"X: a\nY: b\r\n\r\n",
    "LF alone at the end": HEALTH + b"X: a\r\n\n",
    "LF alone before a length": CALLBACK + b"X: a\nContent-Length: 6\r\n\r\nabcdef",
    "CR alone": HEALTH + b"X: a\rY: b\r\n\r\n",
    "more headers than may be": HEALTH + b"X: a\r\n" * 100 + b"\r\n",
    "a header of two lines": HEALTH + b"X: a\r\n b\r\n\r\n",
    "a header of two lines, with a tab": HEALTH + b"X: a\r\n\tb\r\n\r\n",
    "a coding of two lines": CALLBACK + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + HIDDEN,
}
PLAIN = {
    "a request": GET,
    "as many headers as may be": HEALTH + b"X: a\r\n" * 99 + b"\r\n",
    "a body with LF": CALLBACK + b"Content-Length: 6\r\n\r\na\nb\n c",
    "chunks with LF": CALLBACK + CODING + b"\r\n3\r\na\nb\r\n2\r\n\n \r\n0\r\n\r\n",
    "chunks and what follows them": CALLBACK + CODING + b"\r\n2\r\n{}\r\n0\r\nX: a\r\n\r\n",
    "as many chunks as may be": CALLBACK + CODING + b"\r\n" + b"1\r\nx\r\n" * 1023 + b"0\r\n\r\n",
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_can_be_read_in_two_ways_ends_the_connection(name: str, at_once: bool) -> None:
    """One 400 and no more, also when it comes byte by byte: what is hidden in it is never answered."""
    head, end, _ = AMBIGUOUS[name].partition(b"\r\n\r\n")
    answers = await answers_to(AMBIGUOUS[name] if at_once else head + end, at_once=at_once)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", PLAIN)
async def test_what_can_be_read_in_one_way_is_answered(name: str, at_once: bool) -> None:
    """The control: nothing of it is refused for its form."""
    answers = await answers_to(PLAIN[name], at_once=at_once)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert answers.count(b"HTTP/1.1 ") == 1


async def answers_to(request: bytes, *, at_once: bool) -> bytes:
    """Send a request whole or byte by byte, and no more; return all that is answered."""
    app = Vendorless()
    app.answer.set()
    async with opened(app) as door:
        caller = await door.connect()
        for each in [request] if at_once else [request[at : at + 1] for at in range(len(request))]:
            caller.writer.write(each)
            if not at_once:
                await asyncio.sleep(0)
        with suppress(ConnectionError):
            caller.writer.write_eof()
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await caller.reader.read()
        return b""


async def test_more_chunks_than_may_be_cost_no_more_than_those_that_may() -> None:
    """Each costs as much as a request: 100 000 took half a second in which nobody else had a turn."""
    begun = CALLBACK + CODING + b"\r\n"
    many, most = begun + b"1\r\nx\r\n" * 100_000, begun + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"
    honest = await cost(most)
    assert await cost(many) < 10 * honest + 0.1


async def test_more_headers_than_may_be_cost_no_more_than_those_that_may() -> None:
    """Ten thousand fit into a head, and took forty milliseconds."""
    honest = await cost(HEALTH + b"X: a\r\n" * 99 + b"\r\n")
    assert await cost(HEALTH + b"X:a\r\n" * 10_000 + b"\r\n") < 10 * honest + 0.02


async def cost(request: bytes) -> float:
    began = time.process_time()
    await answers_to(request, at_once=True)
    return time.process_time() - began


@pytest.mark.parametrize("more", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("length", [65_537, 999_999_999_999])
async def test_an_announced_body_that_is_too_large_is_not_waited_for(more: bytes, length: int) -> None:
    async with opened() as door:
        caller = await door.connect()
        asked = await caller.ask(CALLBACK + more + b"Content-Length: %d\r\n\r\n" % length)
        assert asked.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_may_be_is_waited_for() -> None:
    """The control: who expects it is told to go on."""
    app = Vendorless()
    app.answer.set()
    async with opened(app) as door:
        caller = await door.connect()
        caller.writer.write(CALLBACK + b"Expect: 100-continue\r\nContent-Length: 65536\r\n\r\n")
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        assert await caller.ask(b"x" * 65536) == b"HTTP/1.1 200 OK"
