"""The route for Prometheus."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from imageedit_server.telemetry import metrics

FRESH_SECONDS = 1.0

Measure = Callable[[], Awaitable[None]]
"""Brings up to date what is only counted when somebody asks."""


def metrics_route(measure: Measure) -> Route:
    """Build the route. The page is made at most once a second, however often it is asked for."""
    lock = asyncio.Lock()
    page, made = b"", -math.inf  # not 0: a machine's clock may have begun a moment ago

    async def show(_request: Request) -> Response:
        nonlocal page, made
        async with lock:
            if time.monotonic() - made >= FRESH_SECONDS:
                await measure()
                page, made = await asyncio.to_thread(metrics.page), time.monotonic()
        return Response(page, media_type=metrics.CONTENT_TYPE)

    return Route("/metrics", show)
