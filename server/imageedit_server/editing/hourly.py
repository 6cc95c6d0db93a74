"""Work that keeps the house: done at the start and every hour, and never given up."""

import logging
from collections.abc import Awaitable, Callable

from imageedit_server.core.clock import Clock

HOUR_SECONDS = 3600.0

_log = logging.getLogger(__name__)


async def hourly(work: Callable[[], Awaitable[object]], clock: Clock, name: str) -> None:
    """Do ``work`` at once and every hour, until cancelled. ``name`` is what the log calls it."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  whatever it was, the next hour may go well
            _log.exception("%s broke off", name)
        await clock.sleep(HOUR_SECONDS)
