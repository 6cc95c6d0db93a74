"""A server of grpcio that strangers cannot end, and that says so when it has ended all the same.

grpcio 1.85.1 decodes the path of a method that it does not know as UTF-8, in the loop that takes in all
calls. A path that is none ends that loop, and with it the server for everyone: one request of a stranger.
What is served is registered and comes in another way, so all the rest can be refused without a look at its
name. There is no public way to say that; ``tests/rpc/test_floods.py`` tells when a newer grpcio needs another
one, or none.

And it makes a tuple of each entry of a call's metadata before anyone can refuse it. So a call is counted
where it is handed over, and one with too much is let go of unanswered, which costs as good as nothing: an
answer would cost what it is to save. ``tests/rpc/test_call_metadata.py`` tells when a newer grpcio differs.
"""

import asyncio
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it comes without types

from imageedit_server.rpc.call_metadata import Layout, Uncalibrated, calibrate
from imageedit_server.runtime.versions import ProvenVersions, Unsupported
from imageedit_server.telemetry.metrics import CALLS_DROPPED

PROVEN = ProvenVersions(library="grpcio", first="1.85.1", below="1.86")
LOOK_SECONDS = 1.0

PlainServer: Any = getattr(cygrpc, "AioServer", object)  # that it is there is looked at when a server is made


NobodyThere: Any = getattr(cygrpc, "ExecuteBatchError", grpc.aio.UsageError)
"""What a read or write of a call ends with whose client went away, before its context says so."""

LAYOUTS: list[Layout] = []
"""The one that was found, once for a process."""


async def server(*, interceptors: list[grpc.aio.ServerInterceptor], **options: Any) -> grpc.aio.Server:
    """Make a ``grpc.aio.server`` that serves registered methods only, and bounded metadata alone.

    Raises ``Unsupported``.
    """
    PROVEN.require(cygrpc, "AioServer", "_handle_rpc", "_schedule_rpc_coro")
    PROVEN.require(PlainServer, "_make_request_call_future", "_request_call", "_request_registered_call")
    PROVEN.require(PlainServer, "is_running")
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
    def __init__(self, loop: Any, pool: Any, handlers: Any, interceptors: Any, *others: Any) -> None:
        super().__init__(loop, pool, handlers, interceptors, *others)
        self._refusals: set[asyncio.Task[None]] = set()
        self._gate = tuple(interceptors or ())

    def _make_request_call_future(self, method: bytes | None) -> Any:
        """Wait for the next call of a registered method; of the others, refuse all there will be."""
        if method is not None:
            return super()._make_request_call_future(method)
        return asyncio.ensure_future(self._refuse_all())

    async def _request_registered_call(self, method: bytes) -> Any:
        """Wait for the next call of ``method`` that has no more metadata than calls may have."""
        while _is_dropped(state := await super()._request_registered_call(method)):
            del state  # which cancels the call
        return state

    async def _request_call(self) -> Any:
        """The same for all methods that are not registered."""
        while _is_dropped(state := await super()._request_call()):
            del state
        return state

    async def _refuse_all(self) -> None:
        while True:
            state, loop = await self._request_call(), asyncio.get_running_loop()
            call = cygrpc._handle_rpc("", _Nothing(), self._gate, state, loop, False)
            refusal = loop.create_task(cygrpc._schedule_rpc_coro(call, state, loop, ""))
            self._refusals.add(refusal)
            refusal.add_done_callback(self._refusals.discard)


def _is_dropped(state: Any) -> bool:
    if not LAYOUTS[0].is_excessive(state):
        return False
    CALLS_DROPPED.inc()
    return True


class _Nothing:
    """Finds no handler for anything; the library then answers UNIMPLEMENTED."""

    def resolve_handler(self, _details: grpc.HandlerCallDetails) -> None:
        """Find none."""
