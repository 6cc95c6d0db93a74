"""The process: serve until a signal, then drain."""

import asyncio
import logging
import resource
import signal
from collections.abc import Callable
from typing import Any

from imageedit_server.bootstrap import running
from imageedit_server.engine.restoring import Said
from imageedit_server.runtime.tasks import cancel
from imageedit_server.sandbox.privileges import close_memory
from imageedit_server.settings import Settings

_log = logging.getLogger(__name__)


async def serve(settings: Settings, announce: Callable[[str], None], said: Said | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain at once (F18).

    ``announce`` gets the one line that says ready. ``said`` is the operator's word of the data. Returns the
    exit code: 0, or that of the second signal. A store that can no longer be trusted is drained of too: paid
    calls under way come to their end, and their answers are kept. Raises its error afterwards.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold every secret (P26)
    close_memory()
    stop, hurry = _signals()
    async with running(settings, said=said) as server:
        announce(f"ready grpc={server.grpc_address} http={server.http_address}")
        await _first(stop, server.broken)
        _log.info("draining")
        drain = asyncio.create_task(server.drain(), name="drain")
        await _first(drain, hurry)
        await cancel(drain)
        if server.broken.done():
            raise server.broken.result()
    if drain.cancelled():
        _log.warning("stopped before it had drained; the next start goes on with every open task")
        return 128 + hurry.result()
    left = None if drain.exception() else drain.result()
    _log.info("drained and stopped%s", "" if left is None else f"; tasks left for the next start: {left}")
    return 0


def _signals() -> tuple[asyncio.Future[int], asyncio.Future[int]]:
    """Return what is done, with its number, at the first and at the second signal to stop."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[int] = loop.create_future()
    second: asyncio.Future[int] = loop.create_future()

    def hear(number: int) -> None:
        heard = second if first.done() else first
        if not heard.done():
            heard.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hear, number)
    return first, second


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
