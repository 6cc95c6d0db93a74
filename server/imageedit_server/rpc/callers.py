"""The gate before the border: who calls, whether they may, and the end of calls whose key was taken away.

Every call passes here first, also those of the library's own services. The credential is read anew for each
call and never from a message. The tenant of the call that runs is ``current_tenant()``, and there is none
where no credential was looked at, so nothing is served by accident.
"""

import asyncio
import inspect
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import grpc

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.rpc.authorisation import RULES, Rule
from imageedit_server.rpc.errors import abort
from imageedit_server.rpc.keys import Caller, Keys, sha256_of
from imageedit_server.rpc.rates import RequestRates
from imageedit_server.rpc.reload import Reloaded
from imageedit_server.telemetry.logs import Seldom
from imageedit_server.telemetry.metrics import RPCS

DEFAULT_TENANT = "default"
"""The tenant of every caller where callers are not told apart."""
HEADER = "authorization"
SCHEME = "bearer"
MAX_METADATA_BYTES = 16384

_log = logging.getLogger(__name__)
_CALLER: ContextVar[Caller] = ContextVar("caller")

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Any], Any]


def current_tenant() -> str:
    """Return whose call is running. Raises ``LookupError`` where none is."""
    return _CALLER.get().tenant


class Callers(grpc.aio.ServerInterceptor):
    """Lets in who may call. ``keys`` is None where callers are not asked for one."""

    def __init__(self, keys: Reloaded[Keys] | None, rates: RequestRates) -> None:
        self._keys = keys
        self._rates = rates
        self._open: defaultdict[Caller, set[asyncio.Timeout]] = defaultdict(set)
        self._refused = Seldom(_log)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler that the server is to call."""
        method = handler_call_details.method
        rule = RULES.get(method)
        try:
            _check_size(handler_call_details)
            if rule is not Rule.ANYONE:
                caller = self._identified(handler_call_details)
                self._rates.spend(caller.tenant)
                _CALLER.set(caller)
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

    def cut_off(self) -> None:
        """End the open streams of every key that is not valid any more, after the keys were read again."""
        for caller in [caller for caller in self._open if not self._is_valid(caller)]:
            scopes = self._open.pop(caller)
            _log.warning("revoked: %s; its %d open streams end", caller, len(scopes))
            for scope in scopes:
                _end_now(scope)

    def _identified(self, details: grpc.HandlerCallDetails) -> Caller:
        """Find who calls. Raises CREDENTIALS_MISSING, CREDENTIALS_INVALID."""
        if self._keys is None:
            return Caller(DEFAULT_TENANT)
        given = [value for name, value in details.invocation_metadata or () if name == HEADER]
        if not given:
            raise Refusal(Reason.CREDENTIALS_MISSING, "Send metadata authorization: Bearer <API key>.")
        scheme, _, key = given[0].partition(" ") if isinstance(given[0], str) else ("", "", "")
        key_sha256 = sha256_of(key.strip())
        caller = self._keys.value.get(key_sha256)
        if caller is None or scheme.lower() != SCHEME or len(given) > 1:
            self._refused.info("a call was refused: no tenant has key %s", key_sha256[:8])
            raise Refusal(Reason.CREDENTIALS_INVALID, "The API key is not valid.")
        return caller

    def _is_valid(self, caller: Caller) -> bool:
        return self._keys is None or self._keys.value.get(caller.key_sha256) == caller

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
                    with self._registered(caller, scope):
                        return await _answer(behaviour, request, context)
            except TimeoutError:
                if not scope.expired():
                    raise
                await abort(
                    context, Refusal(Reason.CREDENTIALS_INVALID, "The API key is not valid any more.")
                )

        return call

    @contextmanager
    def _registered(self, caller: Caller, scope: asyncio.Timeout) -> Iterator[None]:
        self._open[caller].add(scope)
        try:
            if not self._is_valid(caller):  # it was taken away before the first message came
                _end_now(scope)
            yield
        finally:
            if caller in self._open:
                self._open[caller].discard(scope)
                if not self._open[caller]:
                    del self._open[caller]


def _check_size(details: grpc.HandlerCallDetails) -> None:
    """Refuse what gRPC lets through until a client has confirmed its settings: 16 MiB for each call (F74)."""
    size = sum(len(name) + len(value) for name, value in details.invocation_metadata or ())
    if size > MAX_METADATA_BYTES:
        raise Refusal(
            Reason.QUOTA_EXCEEDED, f"The metadata has {size} bytes; at most {MAX_METADATA_BYTES} are allowed."
        )


def _end_now(scope: asyncio.Timeout) -> None:
    scope.reschedule(asyncio.get_running_loop().time())


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
