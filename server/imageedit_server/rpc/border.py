"""The border that every call crosses: malformed messages and errors are dealt with here, once.

A ``Refusal`` becomes its status. What fails once the store is broken is no fault of the call: the process
ends, and the caller is told to come again (F22). Anything else is a defect, of which the caller sees an id
alone (P21: never UNKNOWN, no class name, no path).
"""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from imageedit_server.core.draining import RETRY_SECONDS
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.rpc.errors import abort
from imageedit_server.rpc.grpcio_patch import NobodyThere
from imageedit_server.rpc.metering import metered
from imageedit_server.wire.errors import defect


class _Received:
    """A message on its way to its handler: gRPC holds this until the call ends, and the message no longer."""

    __slots__ = ("_message",)

    def __init__(self, message: Any) -> None:
        self._message = message

    def take(self) -> Any:
        message, self._message = self._message, None
        return message


_MALFORMED = object()
"""Stands for a message that is not valid protobuf."""
UNARY_SECONDS = 30.0
"""What a unary call may take whose caller set no deadline; gRPC itself ends those of the others."""

SHORTAGE_SECONDS = 1.0
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Any], Any]
Refuse = Callable[[Context, Exception], Awaitable[None]]
"""Ends a call that failed with this error. Always raises."""
_log = logging.getLogger(__name__)


class Border:
    """Stands between a service and the server that it is added to; wraps every handler on its way.

    An interceptor would do it too, and would do it anew at every call. ``is_broken`` says whether the store
    can no longer be trusted, so that the process is about to end.
    """

    def __init__(self, server: grpc.aio.Server, is_broken: Callable[[], bool] = lambda: False) -> None:
        self._server = server
        self._refuse = partial(_refuse, is_broken)

    def add_generic_rpc_handlers(self, _: Sequence[Any]) -> None:
        """Leave out what the generated code adds for servers without registered methods."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add the handlers of ``service``, wrapped."""
        wrapped = {
            method: metered(_wrap(handler, self._refuse), method) for method, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, wrapped)


def _wrap(handler: Any, refuse: Refuse) -> Any:
    deserializer = _tolerant(handler.request_deserializer)
    if handler.unary_stream:
        return handler._replace(
            request_deserializer=deserializer,
            response_serializer=_unless_done(handler.response_serializer),
            unary_stream=_streaming(handler.unary_stream, refuse),
        )
    if handler.stream_unary:
        return handler._replace(
            request_deserializer=deserializer, stream_unary=_uploading(handler.stream_unary, refuse)
        )
    if handler.stream_stream:
        return handler._replace(
            request_deserializer=deserializer, stream_stream=_conversing(handler.stream_stream, refuse)
        )
    return handler._replace(
        request_deserializer=lambda data: _Received(deserializer(data)),
        unary_unary=_unary(handler.unary_unary, refuse),
    )


def _unless_done(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A stream may write messages that are serialised already, once for many streams."""

    def write(message: Any) -> bytes:
        return message if isinstance(message, bytes) else serialize(message)

    return write


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _MALFORMED

    return read


def _unary(behaviour: Behaviour, refuse: Refuse) -> Behaviour:
    async def call(request: _Received, context: Context) -> Any:
        limit = asyncio.timeout(UNARY_SECONDS if context.time_remaining() is None else None)
        try:
            async with limit:
                return await behaviour(_well_formed(request.take()), context)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            if isinstance(error, TimeoutError) and limit.expired():
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            await refuse(context, error)

    return call


def _uploading(behaviour: Behaviour, refuse: Refuse) -> Behaviour:
    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        try:
            return await behaviour(_each_well_formed(requests), context)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            await refuse(context, error)

    return call


def _streaming(behaviour: Behaviour, refuse: Refuse) -> Behaviour:
    async def call(request: Any, context: Context) -> None:
        try:
            await behaviour(_well_formed(request), context)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            await refuse(context, error)

    return call


def _conversing(behaviour: Behaviour, refuse: Refuse) -> Behaviour:
    async def call(requests: AsyncIterator[Any], context: Context) -> None:
        try:
            async for response in behaviour(_each_well_formed(requests), context):
                await context.write(response)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            await refuse(context, error)

    return call


def _well_formed(request: Any) -> Any:
    if request is _MALFORMED:
        raise Refusal(Reason.MALFORMED_REQUEST, "The message is not a valid protobuf of this method.")
    return request


async def _each_well_formed(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:  # not touched before the first is wanted: some behaviours want none
        yield _well_formed(request)


async def _refuse(is_broken: Callable[[], bool], context: Context, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, Refusal):
        error.with_traceback(None)  # its frames hold the request, until somebody looks for garbage
        await abort(context, error)
    if isinstance(error, NotImplementedError) and context.code() is grpc.StatusCode.UNIMPLEMENTED:
        # What the generated base class does with a method that its service does not have.
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "This method is not implemented here.")
    if isinstance(error, NobodyThere):
        with suppress(NobodyThere):
            await context.abort(grpc.StatusCode.CANCELLED, "The call was broken off.")
        raise asyncio.CancelledError
    if context.done():  # the client went away: there is nobody to tell, and nothing wrong
        raise asyncio.CancelledError
    await abort(context, _stopping(error) if is_broken() else _shortage(error) or defect(error))


def _stopping(error: Exception) -> Refusal:
    _log.warning("a call fails, since the store can no longer be trusted: %s", type(error).__name__)
    message = "The server's storage failed, so the server stops; nothing was acknowledged. Try again."
    return Refusal(Reason.DRAINING, message, retry_after_seconds=RETRY_SECONDS)


def _shortage(error: Exception) -> Refusal | None:
    """What the machine has none of just now, and may have again, is no defect; None for all else."""
    if isinstance(error, OSError) and error.errno in _SHORT:
        message = "The server is short of memory or open files; nothing was stored. Try again."
        return Refusal(Reason.STORE_BUSY, message, retry_after_seconds=SHORTAGE_SECONDS)
    return None
