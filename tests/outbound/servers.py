"""Loopback servers that do exactly what a test says, byte by byte."""

import asyncio
import socket
import ssl
import struct
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "Call",
    "Handler",
    "Reader",
    "Server",
    "Writer",
    "client_tls",
    "read_call",
    "reply",
    "reset",
    "serve",
    "serve_raw",
    "server_tls",
]

CERTS = Path(__file__).parent / "certs"

Handler = Callable[[Reader, Writer], Awaitable[None]]


@dataclass
class Call:
    """A request as it came."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split("\r\n", 1)[0]

    def header(self, name: str) -> str | None:
        lines = (line.partition(": ") for line in self.head.split("\r\n")[1:])
        return next((value for key, _, value in lines if key.lower() == name.lower()), None)


@dataclass
class Server:
    """What a server saw. ``port`` is where it listens on 127.0.0.1."""

    port: int = 0
    connections: int = 0
    calls: list[Call] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client ended a connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serve_raw(handler: Handler, *, certificate: str = "") -> AsyncIterator[Server]:
    """Run ``handler`` for every connection, with TLS when a certificate of ``certs`` is named."""
    seen = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.transport.abort()

    tls = server_tls(certificate) if certificate else None
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=2**20)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def serve(*answers: bytes, certificate: str = "") -> AsyncIterator[Server]:
    """Answer every whole request: with the answers in turn, then with the last one for ever."""
    left = list(answers)

    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            try:
                seen.calls.append(await read_call(reader))
            except asyncio.IncompleteReadError:
                seen.closed.set()
                return
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    async with serve_raw(handler, certificate=certificate) as seen:
        yield seen


async def read_call(reader: Reader) -> Call:
    """Read one request with a Content-Length or without a body."""
    call = Call((await reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n"), b"")
    call.body = await reader.readexactly(int(call.header("content-length") or 0))
    return call


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """Write a reply with its length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def reset(writer: Writer) -> None:
    """Close with RST."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def server_tls(name: str) -> ssl.SSLContext:
    """Return a server's context with a certificate of ``certs``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = "good.example" if name == "expired" else name
    context.load_cert_chain(CERTS / f"test-only-{name}.pem", CERTS / f"test-only-{key}.key")
    return context


def client_tls() -> ssl.SSLContext:
    """Return a client's context that believes the authority of ``certs`` alone."""
    return ssl.create_default_context(cafile=CERTS / "test-only-ca.pem")
