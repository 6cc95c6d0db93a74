"""One TCP or TLS connection under httpcore, which listens while it sends.

A vendor may answer before it has read the whole request (401, 413, the 307 of a trailing slash) and then
close the connection. httpcore sends first and listens after: by then the answer is gone with the connection,
and nobody knows what the call did. This stream keeps what arrives meanwhile, and stops sending when it is an
answer.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore

KIB = 1024
PIECE_BYTES = 64 * KIB
MOST_BUFFERED = 256 * KIB
PROBE_AFTER_SECONDS = 60
_MAX_TUNNEL_HEAD = 16 * KIB
_OPENED = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9][ \r]")
_INFORMATIONAL = b"HTTP/1.1 1"

_Errors = tuple[type[Exception], type[Exception]]  # for a time that is over, for a connection that is broken
_CONNECT: _Errors = (httpcore.ConnectTimeout, httpcore.ConnectError)
_READ: _Errors = (httpcore.ReadTimeout, httpcore.ReadError)
_WRITE: _Errors = (httpcore.WriteTimeout, httpcore.WriteError)


async def connect(
    address: str, port: int, limit_seconds: float, *, tunnel: bytes = b""
) -> httpcore.AsyncNetworkStream:
    """Connect to an IP address; no name is looked up. Raises httpcore's ConnectError and ConnectTimeout.

    ``tunnel`` is the request for one, which a proxy there is sent before TLS begins.
    """
    with _as(_CONNECT):
        async with asyncio.timeout(limit_seconds):
            transport, wire = await _connect(address, port)
    return _ToProxy(transport, wire, tunnel) if tunnel else Stream(transport, wire)


class Stream(httpcore.AsyncNetworkStream):
    """The seam of httpcore over an asyncio transport. Closing is at once and waits for no stalled peer."""

    def __init__(self, transport: asyncio.Transport, wire: "_Wire") -> None:
        self._transport = transport
        self._wire = wire
        self._dropped = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        """Return what has come, even after the connection broke behind it; empty at the end."""
        with _as(_READ):
            async with asyncio.timeout(timeout):
                return await self._wire.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Send, but stop with WriteError once an answer began: httpcore then reads it."""
        with _as(_WRITE):
            async with asyncio.timeout(timeout):
                whole = memoryview(buffer)
                for start in range(0, len(buffer), PIECE_BYTES):
                    self._wire.check_still_asked()
                    self._transport.write(whole[start : start + PIECE_BYTES])
                    await asyncio.sleep(0)  # let what came be seen before the next piece meets a closed door
                    await self._wire.drained()

    async def aclose(self) -> None:
        """Drop the connection."""
        if self._dropped:
            return
        self._dropped = True
        self._transport.abort()
        await asyncio.sleep(0)  # the transport lets go of its socket in the loop's next round

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Return the stream inside; the certificate must be ``server_hostname``'s."""
        loop = asyncio.get_running_loop()
        try:
            with _as(_CONNECT):
                async with asyncio.timeout(timeout):
                    transport = await loop.start_tls(
                        self._transport, self._wire, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            await self.aclose()
            raise
        if transport is None:  # the peer went away as the handshake ended
            raise httpcore.ConnectError("connection lost")
        self._wire.reads_from(transport)
        return Stream(transport, self._wire)

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks: whether an idle connection has something to say, and TLS's object."""
        if info == "is_readable":
            return self._wire.has_news
        return self._transport.get_extra_info({"server_addr": "peername"}.get(info, info))


class _ToProxy(Stream):
    """A connection to a proxy, which becomes one through it when TLS is to begin."""

    def __init__(self, transport: asyncio.Transport, wire: "_Wire", tunnel: bytes) -> None:
        super().__init__(transport, wire)
        self._tunnel = tunnel

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Have the tunnel opened first: what fails until then was not sent."""
        try:
            with _as(_CONNECT):
                async with asyncio.timeout(timeout):
                    await self._open()
        except BaseException:
            await self.aclose()
            raise
        return await super().start_tls(ssl_context, server_hostname, timeout)

    async def _open(self) -> None:
        self._transport.write(self._tunnel)
        head = b""
        while b"\r\n\r\n" not in head:  # nothing comes behind a tunnel's, since TLS's client speaks first
            piece = await self._wire.take(_MAX_TUNNEL_HEAD - len(head))
            if not piece:
                raise ConnectionError("the proxy opened no tunnel")
            head += piece
        if not _OPENED.match(head):
            raise ConnectionError(f"the proxy answered {head[9:12].decode('ascii', 'replace')}")


class _Wire(asyncio.Protocol):
    """What has come and was not read yet, and whether more can be sent."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def has_news(self) -> bool:
        """Whether something came, the end too."""
        return bool(self._buffer) or self._ended

    def reads_from(self, transport: asyncio.Transport) -> None:
        """Take the transport that is paused when too much comes."""
        self._transport = transport

    async def take(self, max_bytes: int) -> bytes:
        """Return the next bytes. Raises ``OSError`` if the connection broke and nothing is left."""
        while not self.has_news:
            self._news.clear()
            await self._news.wait()
        if not self._buffer and self._error is not None:
            raise ConnectionError("connection lost") from self._error
        if len(self._buffer) <= max_bytes:
            taken, self._buffer = bytes(self._buffer), bytearray()
        else:
            taken = bytes(memoryview(self._buffer)[:max_bytes])
            del self._buffer[:max_bytes]
        if self._transport is not None and len(self._buffer) < MOST_BUFFERED and not self._ended:
            self._transport.resume_reading()
        return taken

    async def drained(self) -> None:
        """Return when more can be sent."""
        await self._writable.wait()

    def check_still_asked(self) -> None:
        """Raise ``OSError`` if there is nobody to send to, or an answer that is not only informational."""
        if self._ended or self._transport is None or self._transport.is_closing():
            raise ConnectionError("connection lost") from self._error
        if len(self._buffer) >= len(_INFORMATIONAL) and not self._buffer.startswith(_INFORMATIONAL):
            raise ConnectionError("answered already")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.reads_from(cast(asyncio.Transport, transport))  # other loops' are one in all but their class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._transport is not None and len(self._buffer) >= MOST_BUFFERED:
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end(self, error: Exception | None) -> None:
        self._error = self._error or (None if self._ended else error)
        self._ended = True
        self._news.set()
        self._writable.set()


async def _connect(address: str, port: int) -> tuple[asyncio.Transport, _Wire]:
    """Connect a socket of Python's, whatever the loop's own are: what watches over connecting sees it."""
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    loop = asyncio.get_running_loop()
    try:
        connection.setblocking(False)
        _keep_probing(connection)
        await loop.sock_connect(connection, (address, port))
        return await loop.create_connection(_Wire, sock=connection)
    except BaseException:
        connection.close()
        raise


@contextmanager
def _as(errors: _Errors) -> Iterator[None]:
    late, broken = errors
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # TLS's errors are OSErrors
        raise broken(str(error)) from error


def _keep_probing(connection: socket.socket) -> None:
    """Let the kernel probe a silent connection: a NAT on the way forgets one during a call of minutes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_SECONDS)
