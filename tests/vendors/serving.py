"""Serves a vendor's API on loopback: real HTTP/1.1 on real sockets, honest or not.

A handler answers a ``Request`` with a ``Response``, or with a ``Wire``: a function that has the bare socket
and misbehaves on it. The second half of this file is a collection of such misbehaviours.
"""

import asyncio
import gzip
import json
import re
import socket
import struct
import traceback
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11

HOST = "127.0.0.1"
MIB = 1024 * 1024
MAX_REQUEST_BYTES = 256 * MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A whole request; header names are lower-case, ``path`` is as sent, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """A reply. A ``body`` that comes in pieces is sent chunked, each piece at once."""

    status: int = 200
    body: bytes | AsyncIterable[bytes] = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> list[tuple[str, str]]:
        """Return the header fields, with the length of a body that is known."""
        fields = [("content-type", self.media_type)] if self.media_type else []
        if isinstance(self.body, bytes):
            fields.append(("content-length", str(len(self.body))))
        return fields + list(self.headers.items())

    def content(self) -> bytes:
        """Return the body, which must be known."""
        assert isinstance(self.body, bytes)
        return self.body

    def head(self, *more: str) -> bytes:
        """Return the status line and the header fields as they go over the wire."""
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.fields()), *more]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(status=status, body=json.dumps(value).encode(), headers=headers or {})


class Line:
    """The socket to one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send, and wait while the client does not read."""
        self._writer.write(data)
        await self._writer.drain()

    async def client_is_gone(self) -> None:
        """Wait until the client hangs up."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    async def pause(self, seconds: float) -> None:
        """Send nothing for a time."""
        await asyncio.sleep(seconds)

    def reset(self) -> None:
        """Break the connection off with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    async def close(self) -> None:
        """Hang up when everything was sent."""
        self._writer.close()
        await self._writer.wait_closed()

    def abort(self) -> None:
        """Drop the connection, whatever was not sent yet."""
        self._writer.transport.abort()


Wire = Callable[[Line], Awaitable[None]]
Answer = Response | Wire
Handler = Callable[[Request], Awaitable[Answer]]


@asynccontextmanager
async def serve(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; yield the base URL. Port 0 is any free one."""
    lines: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        lines.add(task)
        line = Line(reader, writer)
        with suppress(ConnectionError, asyncio.CancelledError):  # the streams' own callback takes neither
            await _converse(handler, line)
            await line.close()
        line.abort()
        lines.discard(task)

    server = await asyncio.start_server(connected, HOST, port)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await let_in()
        for task in list(lines):
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        await server.wait_closed()


async def let_in() -> None:
    """Let connections that were accepted at the last moment come to where they can be closed."""
    for _ in range(10):
        await asyncio.sleep(0)


async def _converse(handler: Handler, line: Line) -> None:
    """Answer one request after the other on a connection that is kept alive."""
    connection = h11.Connection(h11.SERVER)
    while (request := await _read(connection, line)) is not None:
        answer = await _answer(handler, request)
        if not isinstance(answer, Response):
            await answer(line)
            return
        await _write(connection, line, answer)
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _answer(handler: Handler, request: Request) -> Answer:
    try:
        return await handler(request)
    except Exception:  # noqa: BLE001  a bug of the vendor server: shown, and no reason to hang
        traceback.print_exc()
        return Response(status=599, body=b"the vendor server is broken", media_type="text/plain")


async def _read(connection: h11.Connection, line: Line) -> Request | None:
    """Read one whole request; None when the client is gone or does not speak HTTP."""
    head: h11.Request | None = None
    body = bytearray()
    while len(body) <= MAX_REQUEST_BYTES:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return None
        match event:
            case h11.NEED_DATA:
                connection.receive_data(await line.reader.read(65536))
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                assert head is not None
                return _request(head, bytes(body))
            case _:
                return None
    return None


def _request(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(head.target.decode("ascii"))
    return Request(
        method=head.method.decode("ascii"),
        path=target.path,
        query=dict(parse_qsl(target.query, keep_blank_values=True)),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
        body=body,
    )


async def _write(connection: h11.Connection, line: Line, response: Response) -> None:
    async def send(event: h11.Event) -> None:
        await line.send(connection.send(event) or b"")

    await send(h11.Response(status_code=response.status, headers=response.fields()))
    if isinstance(response.body, bytes):
        await send(h11.Data(data=response.body))
    else:
        async for piece in response.body:
            await send(h11.Data(data=piece))
    await send(h11.EndOfMessage())


# Multipart forms (RFC 7578), read strictly


@dataclass(frozen=True, kw_only=True, slots=True)
class FormPart:
    """One part of a form. A plain field has no ``file_name``; ``media_type`` is empty if none was given."""

    name: str
    file_name: str | None
    media_type: str
    content: bytes


class BadForm(Exception):
    """The body is not the form that its content type says."""


_BOUNDARY = re.compile(r'multipart/form-data; ?boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?')
_DISPOSITION = re.compile(r'form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?')


def read_form(request: Request) -> list[FormPart]:
    """Return the parts in order. Raises ``BadForm``."""
    boundary = _BOUNDARY.fullmatch(request.headers.get("content-type", ""))
    if boundary is None:
        raise BadForm(f"content type {request.headers.get('content-type')!r}")
    delimiter = b"\r\n--" + boundary[1].encode()
    first, *pieces = (b"\r\n" + request.body).split(delimiter)
    if first or len(pieces) < 2 or pieces[-1].strip(b"\r\n") != b"--":
        raise BadForm("the boundaries are wrong")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> FormPart:
    head, separator, content = piece.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"\r\n"):
        raise BadForm("a part without a head")
    fields = {}
    for row in head.decode("utf-8").strip("\r\n").split("\r\n"):
        name, _, value = row.partition(":")
        fields[name.strip().lower()] = value.strip()
    disposition = _DISPOSITION.fullmatch(fields.get("content-disposition", ""))
    if disposition is None:
        raise BadForm(f"content disposition {fields.get('content-disposition')!r}")
    return FormPart(
        name=disposition[1],
        file_name=disposition[2],
        media_type=fields.get("content-type", ""),
        content=content,
    )


# Misbehaviours on the socket (PROMISES F43, F44)


DRIP_SECONDS = 0.5
"""Between two bytes: even the shortest of bodies takes half a minute."""


async def hang(line: Line) -> None:
    """Say nothing until the client gives up."""
    await line.client_is_gone()


async def reset(line: Line) -> None:
    """Break off with RST in place of a reply."""
    line.reset()


async def hang_up(line: Line) -> None:
    """Close the connection in place of a reply."""


async def not_http(line: Line) -> None:
    """Answer in another protocol."""
    await line.send(b"SSH-2.0-OpenSSH_9.2\r\n")


async def endless_headers(line: Line) -> None:
    """Send headers until the client hangs up."""
    await line.send(b"HTTP/1.1 200 X\r\n")
    while True:
        await line.send(b"x-more: " + b"x" * 4096 + b"\r\n")


async def endless_body(line: Line) -> None:
    """Send a body of a tebibyte, or as much as the client takes."""
    await line.send(
        b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n"
    )
    while True:
        await line.send(b" " * 65536)


def drip(response: Response, seconds: float = DRIP_SECONDS) -> Wire:
    """Send the honest reply one byte at a time, so slowly that no read ever times out."""
    return _slowly(response.head() + response.content(), b"", seconds)


def drip_body(response: Response, seconds: float = DRIP_SECONDS) -> Wire:
    """Send the head at once and the body one byte at a time."""
    return _slowly(response.content(), response.head(), seconds)


def _slowly(data: bytes, first: bytes, seconds: float) -> Wire:
    async def wire(line: Line) -> None:
        await line.send(first)
        for index in range(len(data)):
            await line.send(data[index : index + 1])
            await line.pause(seconds)

    return wire


def cut(response: Response, share: float = 0.5) -> Wire:
    """Promise the whole body, send ``share`` of it and hang up."""

    async def wire(line: Line) -> None:
        body = response.content()
        await line.send(response.head() + body[: int(len(body) * share)])

    return wire


def reset_within(response: Response) -> Wire:
    """Send half of the body, then break off with RST."""

    async def wire(line: Line) -> None:
        body = response.content()
        await line.send(response.head() + body[: len(body) // 2])
        line.reset()

    return wire


def gzip_bomb(mib: int = 16) -> Response:
    """Answer with many megabytes of zeros in a few kilobytes, to a client that did not ask for gzip."""
    return Response(body=gzip.compress(bytes(mib * MIB)), headers={"content-encoding": "gzip"})
