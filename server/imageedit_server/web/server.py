"""Runs the HTTP door on uvicorn, in the same loop as everything else."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http import h11_impl

from imageedit_server.runtime.listening import listen_on
from imageedit_server.runtime.signals import Signal
from imageedit_server.runtime.versions import ProvenVersions
from imageedit_server.web.strict_http import check_h11, make_strict

PROVEN = ProvenVersions(library="uvicorn", first="0.54", below="0.55")
MAX_CONNECTIONS = 200
HEAD_SECONDS = 10.0
"""How long a connection may take to send the head of its next request."""
REQUEST_SECONDS = 30.0
"""How long that request may then take, with its answer read."""

logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below: a line for whatever a stranger sends

LOST = Signal()
"""A connection has ended, whoever ended it."""

_PLACES = count()
"""Those of the connections in the row of all that wait: a clock may have one time for many of them."""

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _H11Protocol
else:
    _H11Protocol = getattr(h11_impl, "H11Protocol", object)  # one that is missing is told at the start


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(_H11Protocol):
    """Ends connections that send no whole request or do not read its answer: uvicorn would wait for ever.

    Of more than ``MAX_CONNECTIONS`` it ends the one that waits longest for its next request, so that whoever
    opens many holds up nobody who has something to ask; the new one, when all are being served.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        make_strict(self.conn)
        self._await_request()
        self._make_room()

    def on_response_complete(self) -> None:
        self._due.cancel()
        self._await_request()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._due.cancel()
        super().connection_lost(exc)
        LOST()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP. To the request before it the client is gone: two answers would collide."""
        if self.cycle is None:
            super().send_400_response(msg)
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _await_request(self) -> None:
        self._place = next(_PLACES)
        self._due = self.loop.call_later(HEAD_SECONDS, self._look)

    def _look(self) -> None:
        if self._is_served():
            self._due = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)
        else:
            self.transport.abort()

    def _is_served(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    def _make_room(self) -> None:
        if len(self.connections) <= MAX_CONNECTIONS:
            return
        every = [each for each in self.connections if isinstance(each, _Protocol)]
        here = [each for each in every if not each.transport.is_closing()]
        if len(here) > MAX_CONNECTIONS:
            waiting = (each for each in here if not each._is_served())
            min(waiting, key=lambda each: each._place).transport.abort()


@asynccontextmanager
async def http_door(host: str, port: int, app: Starlette) -> AsyncIterator[int]:
    """Serve ``app`` on ``host``:``port`` (0: any free port) until the block ends; yield the port.

    Raises ``CannotListen`` and ``Unsupported``.
    """
    _check_uvicorn()
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


def _check_uvicorn() -> None:
    """Look for all that is overridden or read above."""
    protocol = ("connection_made", "connection_lost", "on_response_complete", "send_400_response")
    cycle = ("disconnected", "message_event", "response_started", "response_complete")
    PROVEN.require(uvicorn.Server, "capture_signals", "should_exit")
    PROVEN.require(h11_impl, "H11Protocol", "RequestResponseCycle")
    PROVEN.require(h11_impl.H11Protocol, *protocol, "loop", "transport", "connections", "cycle", "conn")
    PROVEN.require(h11_impl.RequestResponseCycle, *cycle)
    PROVEN.name_untested()
    check_h11()
