"""Counts and times every call, from outside of everything else that deals with it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import grpc

from imageedit_server.telemetry.logs import note
from imageedit_server.telemetry.metrics import RPC_SECONDS, RPCS, RPCS_IN_FLIGHT

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def metered(handler: Any, method: str) -> Any:
    """Return the handler of ``method``, measured."""
    kind = next(kind for kind in _KINDS if getattr(handler, kind))
    return handler._replace(**{kind: _metered(getattr(handler, kind), method)})


def _metered(behaviour: Behaviour, method: str) -> Behaviour:
    in_flight, seconds = RPCS_IN_FLIGHT.labels(method), RPC_SECONDS.labels(method)
    ended = cache(lambda code: RPCS.labels(method, code))

    async def call(request: Any, context: Context) -> Any:
        note(method=method)
        began, code = time.perf_counter(), "UNKNOWN"
        in_flight.inc()
        try:
            answer = await behaviour(request, context)
            code = "OK"
        except grpc.aio.AbortError:
            code = _name(context.code())
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        finally:
            in_flight.dec()
            seconds.observe(time.perf_counter() - began)
            ended(code).inc()
        return answer

    return call


def _name(code: Any) -> str:
    return code.name if isinstance(code, grpc.StatusCode) else _NAMES[code]
