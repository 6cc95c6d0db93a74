"""A doorway before a door: one address for vendors to call, whatever server stands behind it just now.

A vendor is told its callback URL long before a test knows which port a server will get, and a server that was
killed comes back on another one.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tests.vendors.serving import HOST, let_in


class Doorway:
    """Passes connections on to ``target`` (``HOST:PORT``); while there is none, hangs up.

    With ``cut_bytes`` each connection ends when so many bytes have come back through it.
    """

    def __init__(self, cut_bytes: int | None = None) -> None:
        self._cut_bytes = cut_bytes
        self.url = ""
        self.target = ""
        self.passed = 0
        """How many connections were passed on."""
        self.passed_bytes = 0
        """How much the callers sent through it."""
        self._swallowed = 0

    @property
    def address(self) -> str:
        """``HOST:PORT`` of the doorway."""
        return self.url.removeprefix("http://")

    def swallow(self) -> None:
        """Pass nothing on any more of the connections that there are, and close none: a cable is cut."""
        self._swallowed = self.passed

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one caller."""
        try:
            await self._pass_on(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.target:
            return
        host, _, port = self.target.rpartition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        self.passed += 1
        number = self.passed

        def passes() -> bool:
            return number > self._swallowed

        def counted(size: int) -> None:
            self.passed_bytes += size

        there = asyncio.create_task(_copy(reader, inner_writer, passes, counted=counted))
        try:
            await _copy(inner_reader, writer, passes, self._cut_bytes)
        finally:
            there.cancel()
            inner_writer.transport.abort()
            await asyncio.gather(there, return_exceptions=True)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    passes: Callable[[], bool],
    cut_bytes: int | None = None,
    counted: Callable[[int], None] = lambda size: None,
) -> None:
    left = math.inf if cut_bytes is None else cut_bytes
    while left > 0 and (data := await reader.read(int(min(65536, left)))):
        left -= len(data)
        if passes():
            writer.write(data)
            await writer.drain()
            counted(len(data))


@asynccontextmanager
async def doorway(cut_bytes: int | None = None) -> AsyncIterator[Doorway]:
    """Open a doorway on a free port."""
    found = Doorway(cut_bytes)
    callers: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        callers.add(task)
        await found.connected(reader, writer)
        callers.discard(task)

    server = await asyncio.start_server(connected, HOST, 0)
    found.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        await let_in()
        for task in list(callers):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*callers, return_exceptions=True)
        await server.wait_closed()
