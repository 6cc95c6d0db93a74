"""The process: serve until a signal, then drain."""

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable
from typing import Any

from imageedit_server.bootstrap import running
from imageedit_server.engine.restoring import Said
from imageedit_server.runtime.tasks import cancel
from imageedit_server.sandbox.privileges import close_memory
from imageedit_server.settings import Settings, SettingsError

LOOP_VARIABLE = "IMAGEEDIT_LOOP"
"""The environment variable that names the event loop to serve on: ``uvloop`` or ``asyncio``."""

_log = logging.getLogger(__name__)


def run(settings: Settings, announce: Callable[[str], None], said: Said | None = None) -> int:
    """``serve`` on an event loop of its own, the one of ``loop_factory``; raises what both raise."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(settings, announce, said))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the server's event loop: uvloop's where it is installed, else asyncio's own.

    Raises ``SettingsError`` where ``LOOP_VARIABLE`` names another one, or one that is not there.
    """
    name = os.environ.get(LOOP_VARIABLE, "")
    if name not in {"", "asyncio", "uvloop"}:
        raise SettingsError(f"{LOOP_VARIABLE} is {name!r}; it takes uvloop or asyncio")
    if name != "asyncio":
        try:
            import uvloop  # noqa: PLC0415  may be missing
        except ImportError:
            if name:
                raise SettingsError(f"{LOOP_VARIABLE} is {name!r}, which is not installed") from None
            _log.info("uvloop is not installed: asyncio's own event loop serves")
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


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
