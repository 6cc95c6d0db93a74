"""The border that every call crosses: malformed messages and errors are dealt with here, once.

A ``Refusal`` becomes its status. Anything else is a defect: it is logged under a random id, and the caller
sees only that id (P21: never UNKNOWN, no class name, no path).
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.rpc.errors import abort

_log = logging.getLogger(__name__)

_MALFORMED = object()
"""Stands for a message that is not valid protobuf."""

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Any], Any]


class Border(grpc.aio.ServerInterceptor):
    """Wraps every handler of our service; the library's own services pass as they are."""

    def __init__(self, service: str) -> None:
        self._prefix = f"/{service}/"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler that the server is to call."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefix):
            return handler
        return _wrap(handler)


def _wrap(handler: Any) -> Any:
    deserializer = _tolerant(handler.request_deserializer)
    if handler.unary_stream:
        return handler._replace(
            request_deserializer=deserializer, unary_stream=_streaming(handler.unary_stream)
        )
    if handler.stream_unary:
        return handler._replace(
            request_deserializer=deserializer, stream_unary=_uploading(handler.stream_unary)
        )
    return handler._replace(request_deserializer=deserializer, unary_unary=_unary(handler.unary_unary))


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _MALFORMED

    return read


def _unary(behaviour: Behaviour) -> Behaviour:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await behaviour(_well_formed(request), context)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            await _refuse(context, error)

    return call


def _uploading(behaviour: Behaviour) -> Behaviour:
    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        try:
            return await behaviour((_well_formed(request) async for request in requests), context)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            await _refuse(context, error)

    return call


def _streaming(behaviour: Behaviour) -> Behaviour:
    async def call(request: Any, context: Context) -> None:
        try:
            await behaviour(_well_formed(request), context)
        except Exception as error:  # noqa: BLE001  the border is where every error ends
            await _refuse(context, error)

    return call


def _well_formed(request: Any) -> Any:
    if request is _MALFORMED:
        raise Refusal(Reason.MALFORMED_REQUEST, "The message is not a valid protobuf of this method.")
    return request


async def _refuse(context: Context, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, Refusal):
        await abort(context, error)
    if context.done():  # the client went away: there is nobody to tell, and nothing wrong
        raise asyncio.CancelledError
    incident = secrets.token_hex(8)
    _log.error("incident %s", incident, exc_info=error)
    await abort(context, Refusal(Reason.INTERNAL_ERROR, f"Internal error {incident}; report this id."))
