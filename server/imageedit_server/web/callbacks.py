"""The route for vendors' callbacks: small, quick, and never a 5xx for what a stranger sends (P16)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from imageedit_server.core.errors import Refusal
from imageedit_server.providers.base import CallbackRefused
from imageedit_server.telemetry.metrics import CALLBACKS

KIB = 1024
MAX_BODY_BYTES = 64 * KIB
READ_SECONDS = 5.0

Receive = Callable[[str, str, Mapping[str, str], bytes], Awaitable[None]]
"""Takes provider, token, headers (lower-case names) and body. Raises ``CallbackRefused``."""


class _TooLarge(Exception):
    pass


def callback_route(receive: Receive) -> Route:
    """Build the route. 200: noted, also when it says nothing new; 400: malformed; 401: not the vendor's."""

    async def callback(request: Request) -> Response:
        if _announced_bytes(request) > MAX_BODY_BYTES:  # before one who expects it is told to go on
            return _answer(413, "too large")
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await _read(request)
        except _TooLarge:
            return _answer(413, "too large")
        except (TimeoutError, ClientDisconnect):
            return _answer(408, "too slow")
        return await _note(receive, request, body)

    return Route("/callbacks/{provider}/{token}", callback, methods=["POST"])


async def _note(receive: Receive, request: Request, body: bytes) -> Response:
    provider, token = request.path_params["provider"], request.path_params["token"]
    try:
        await receive(provider, token, dict(request.headers), body)
    except CallbackRefused as refused:
        return _answer(401, "not accepted") if refused.forged else _answer(400, "malformed")
    except Refusal:
        return _answer(429, "try again")
    return _answer(200, "ok")


def _announced_bytes(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _TooLarge
    return bytes(body)


def _answer(status: int, text: str) -> Response:
    CALLBACKS.labels(text).inc()
    return PlainTextResponse(f"{text}\n", status_code=status)
