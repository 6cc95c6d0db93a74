"""Connections that serve one call each and are closed with it.

httpcore's pool would open and close them too, but looks all of them over twice for every call: with 64 calls
under way, which is what a server with slow vendors has, that is a fifth of what a call costs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpcore


class OneCallPool(httpcore.AsyncConnectionPool):
    """At most ``max_connections`` at a time; who comes then waits. Takes what its base class takes."""

    def __init__(self, *, max_connections: int, **options: Any) -> None:
        super().__init__(max_connections=max_connections, **options)
        self._places = asyncio.Semaphore(max_connections)
        self._open: set[httpcore.AsyncConnectionInterface] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send ``request`` over a connection of its own, which ends with the reply's stream."""
        await self._places.acquire()
        connection = self.create_connection(request.url.origin)
        self._open.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._close(connection)
            raise
        response.stream = _Body(response.stream, partial(self._close, connection))
        return response

    async def aclose(self) -> None:
        """Close what is open, also under a call."""
        for connection in list(self._open):
            await self._close(connection)

    async def _close(self, connection: httpcore.AsyncConnectionInterface) -> None:
        if connection in self._open:
            self._open.discard(connection)
            self._places.release()
        await connection.aclose()


class _Body:
    """A reply's body, whose end is that of its connection."""

    def __init__(self, stream: Any, close: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._close = close

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        """Close both, also when whoever does so is cancelled."""
        try:
            await self._stream.aclose()
        finally:
            await self._close()
