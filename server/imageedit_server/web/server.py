"""Runs the HTTP door on uvicorn, in the same loop as everything else."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from imageedit_server.core.listening import listen_on

HEAD_SECONDS = 10.0
"""How long a connection may take to send the head of its next request."""

logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below: a line for whatever a stranger sends


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """Closes a connection that sends no whole head of a request: uvicorn alone would wait for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_due = self.loop.call_later(HEAD_SECONDS, self._close_if_silent)

    def on_response_complete(self) -> None:
        self._head_due.cancel()
        self._head_due = self.loop.call_later(HEAD_SECONDS, self._close_if_silent)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_due.cancel()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self.transport.close()


@asynccontextmanager
async def http_door(host: str, port: int, app: Starlette) -> AsyncIterator[int]:
    """Serve ``app`` on ``host``:``port`` (0: any free port) until the block ends; yield the port.

    Raises ``CannotListen``.
    """
    listener = listen_on("server.http_listen", host, port)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http door")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
