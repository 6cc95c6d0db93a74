"""A server of grpcio that strangers cannot end, and that says so when it has ended all the same.

grpcio 1.85.1 decodes the path of a method that it does not know as UTF-8, in the loop that takes in all
calls. A path that is none ends that loop, and with it the server for everyone: one request of a stranger.
What is served is registered and comes in another way, so all the rest can be refused without a look at its
name. There is no public way to say that; ``tests/rpc/test_floods.py`` tells when a newer grpcio needs another
one, or none.

And it makes a tuple of each entry of a call's metadata before anyone can refuse it. So a call is counted
where it is handed over, and one with too much is let go of unanswered, which costs as good as nothing: an
answer would cost what it is to save. ``tests/rpc/test_call_metadata.py`` tells when a newer grpcio differs.

And for each call it waits anew over all methods, which costs more than the call itself. So each method has
loops of its own here, which take in its calls until the server ends (``tests/rpc/test_request_loops.py``). Of
a method whose messages are large they begin one call at a time, or all others would wait for what that many
megabytes take.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it comes without types

from imageedit_server.rpc.call_metadata import Layout, Uncalibrated, calibrate
from imageedit_server.runtime.versions import ProvenVersions, Unsupported
from imageedit_server.telemetry.metrics import CALLS_DROPPED

PROVEN = ProvenVersions(library="grpcio", first="1.85.1", below="1.86")
LOOK_SECONDS = 1.0
OUTSTANDING = 16
"""How many calls of a method may come at once without one of them waiting for a loop to ask for it."""

LARGE_BYTES = 256 * 1024
"""A message that takes milliseconds to copy and to parse."""

PlainServer: Any = getattr(cygrpc, "AioServer", object)  # that it is there is looked at when a server is made


NobodyThere: Any = getattr(cygrpc, "ExecuteBatchError", grpc.aio.UsageError)
"""What a read or write of a call ends with whose client went away, before its context says so."""

LAYOUTS: list[Layout] = []
"""The one that was found, once for a process."""


async def server(*, interceptors: list[grpc.aio.ServerInterceptor], **options: Any) -> grpc.aio.Server:
    """Make a ``grpc.aio.server`` that serves registered methods only, and bounded metadata alone.

    Raises ``Unsupported``.
    """
    PROVEN.require(cygrpc, "AioServer", "_handle_rpc", "_schedule_rpc_coro", "_RequestCallError")
    PROVEN.require(PlainServer, "_make_request_call_future", "_request_call", "_request_registered_call")
    PROVEN.require(PlainServer, "add_registered_method_handlers", "is_running")
    PROVEN.require(cygrpc, "ExecuteBatchError")
    PROVEN.name_untested()
    if not LAYOUTS:
        LAYOUTS.append(await _calibrated())
    made = _made_of(_Server, interceptors=interceptors, **options)
    PROVEN.require(type(made), "_server")
    return made


async def _calibrated() -> Layout:
    try:
        return await calibrate(PlainServer, _made_of)
    except Uncalibrated:
        raise Unsupported(
            f"grpcio {grpc.__version__} keeps the metadata of calls where this server, which has to count it,"
            f" does not find it; install {PROVEN.bounds}"
        ) from None


def _made_of(kind: type[Any], **options: Any) -> grpc.aio.Server:
    """Make a ``grpc.aio.server`` around a server of another class than grpcio's own."""
    plain, cygrpc.AioServer = cygrpc.AioServer, kind
    try:
        return grpc.aio.server(**options)
    finally:
        cygrpc.AioServer = plain


async def ended(server: Any) -> None:
    """Return when the server takes no calls any more. Its own word for that waits for the last connection."""
    while server._server.is_running():  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(LOOK_SECONDS)


class _Server(PlainServer):  # type: ignore[misc]
    """Takes in its calls itself: what grpcio's own loop waits for comes when the server ends."""

    def __init__(
        self, loop: Any, pool: Any, handlers: Any, interceptors: Any, options: Any, most_calls: int | None
    ) -> None:
        super().__init__(loop, pool, handlers, interceptors, options, most_calls)
        self._loop = loop
        self._gate = tuple(interceptors or ())
        self._served = _Served({})
        self._most_calls = most_calls or sys.maxsize
        self._turns: dict[str, _Turns] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._refusals: set[asyncio.Task[None]] = set()

    def add_registered_method_handlers(self, method_handlers: dict[str, Any]) -> None:
        """Serve these methods too."""
        for name, handler in method_handlers.items():
            turns = self._turns[name] = _Turns()
            read = turns.noting(handler.request_deserializer)
            self._served.handlers[name] = handler._replace(request_deserializer=read)
        super().add_registered_method_handlers(method_handlers)

    def _make_request_call_future(self, method: bytes | None) -> Any:
        """Take in all calls of ``method`` there will be; for None, all of methods that are not registered."""
        if method is None:
            return self._loop.create_task(self._take_in(self._request_call, "", _NOTHING))
        request, name = partial(self._request_registered_call, method), method.decode()
        return asyncio.gather(*(self._take_in(request, name, self._served) for _ in range(OUTSTANDING)))

    async def _take_in(self, request: Callable[[], Awaitable[Any]], name: str, served: "_Served") -> None:
        """Begin each call that ``request`` brings, until the server ends: an error that grpcio waits for."""
        while True:
            try:
                state = await request()
            except cygrpc._RequestCallError:
                if not self.is_running():
                    raise
                continue
            if not _is_dropped(state):
                if name in self._turns:
                    await self._turns[name].wait()
                self._begin(name, served, state)
            del state  # which ends a call that is dropped; the others have it themselves

    def _begin(self, name: str, served: "_Served", state: Any) -> None:
        is_too_many = len(self._calls) >= self._most_calls
        call = cygrpc._handle_rpc(name, served, self._gate, state, self._loop, is_too_many)
        task = self._loop.create_task(cygrpc._schedule_rpc_coro(call, state, self._loop, name))
        kept = self._refusals if is_too_many or served is _NOTHING else self._calls
        kept.add(task)
        task.add_done_callback(kept.discard)


def _is_dropped(state: Any) -> bool:
    if not LAYOUTS[0].is_excessive(state):
        return False
    CALLS_DROPPED.inc()
    return True


class _Turns:
    """Lets the calls of one method begin one after the other, in turns of the loop, while some are large.

    How large a call is shows when its message is there. So many small ones end it as may be begun at once.
    """

    def __init__(self) -> None:
        self._begins_alone = asyncio.Lock()
        self._large = 0

    def noting(self, deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
        """Look at each message before it is read."""

        def read(data: bytes) -> Any:
            self._large = OUTSTANDING if len(data) >= LARGE_BYTES else max(self._large - 1, 0)
            return deserialize(data) if deserialize else data

        return read

    async def wait(self) -> None:
        """Return when a call may begin."""
        if self._large:
            await self._begins_alone.acquire()
            asyncio.get_running_loop().call_soon(self._begins_alone.release)


class _Served:
    """Finds the handler of a method; where there is none, the library answers UNIMPLEMENTED."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self.handlers = handlers

    def resolve_handler(self, details: grpc.HandlerCallDetails) -> Any:
        """Return the handler, or None."""
        return self.handlers.get(details.method)


_NOTHING = _Served({})
