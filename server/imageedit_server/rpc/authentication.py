"""What every call passes before the border, also those of the library's own services."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from imageedit_server.access.callers import HEADER, Callers, key_revoked
from imageedit_server.access.keys import Caller
from imageedit_server.access.rules import Rule
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.rpc.errors import abort
from imageedit_server.rpc.rules import RULES
from imageedit_server.telemetry.metrics import RPCS

_log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Any], Any]


class Authentication(grpc.aio.ServerInterceptor):
    """Lets in who may call, as ``callers`` tells them apart."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler that the server is to call."""
        method = handler_call_details.method
        rule = RULES.get(method)
        try:
            if rule is not Rule.ANYONE:
                caller = self._callers.admit(_credentials(handler_call_details))
            handler = await continuation(handler_call_details)
            if handler is None or rule is Rule.ANYONE:
                return handler
            if rule is None:
                _log.error("%s has no row in the table of who may call what", method)
                raise Refusal(Reason.NOT_ALLOWED, "This method is not open to callers.")
        except Refusal as refusal:
            known = method.rpartition("/")[2] if rule else "other"  # strangers make up any name
            RPCS.labels(known, refusal.reason.code.value).inc()
            return _refusing(refusal)
        return self._while_valid(handler, caller) if caller.key_sha256 else handler

    # Streams may outlive their key; a unary call is over before anyone could take it away.

    def _while_valid(self, handler: Any, caller: Caller) -> Any:
        for shape in ("unary_stream", "stream_unary", "stream_stream"):
            if behaviour := getattr(handler, shape):
                return handler._replace(**{shape: self._until_revoked(behaviour, caller)})
        return handler

    def _until_revoked(self, behaviour: Behaviour, caller: Caller) -> Behaviour:
        async def call(request: Any, context: Context) -> Any:
            scope = asyncio.timeout(None)
            try:
                async with scope:
                    with self._callers.while_valid(caller, scope):
                        return await _answer(behaviour, request, context)
            except TimeoutError:
                if not scope.expired():
                    raise
                await abort(context, key_revoked())

        return call


def _credentials(details: grpc.HandlerCallDetails) -> list[str | bytes]:
    return [value for name, value in details.invocation_metadata or () if name == HEADER]


async def _answer(behaviour: Behaviour, request: Any, context: Context) -> Any:
    """Run a handler of either style: one that writes, or one that yields."""
    answer = behaviour(request, context)
    if not inspect.isasyncgen(answer):
        return await answer
    async for response in answer:
        await context.write(response)
    return None


def _refusing(refusal: Refusal) -> Any:
    """Return a handler that refuses at once: of this shape, it does not wait for the caller's message."""

    async def refuse(_requests: Any, context: Context) -> None:
        await abort(context, refusal)

    return grpc.stream_stream_rpc_method_handler(refuse)
