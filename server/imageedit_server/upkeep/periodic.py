"""Work that keeps the house: done at the start and then again and again, and never given up."""

import logging
from collections.abc import Awaitable, Callable

from imageedit_server.runtime.clock import Clock

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS

_log = logging.getLogger(__name__)


async def keep_doing(
    work: Callable[[], Awaitable[object]], clock: Clock, name: str, *, every_seconds: float = HOUR_SECONDS
) -> None:
    """Do ``work`` at once and every ``every_seconds``, until cancelled. ``name`` is what the log calls it."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  whatever it was, the next time may go well
            _log.exception("%s broke off", name)
        await clock.sleep(every_seconds)
