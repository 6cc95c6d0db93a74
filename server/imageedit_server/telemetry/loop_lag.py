"""How late the event loop is: what blocks it delays every call that it serves."""

import asyncio
from collections import deque

from imageedit_server.telemetry.metrics import LOOP_LAG_MAX_SECONDS, LOOP_LAG_SECONDS

PERIOD_SECONDS = 0.1
REMEMBERED_SECONDS = 60.0


async def measure_loop_lag() -> None:
    """Sleep again and again, and measure how late each wake-up was. Ends when it is cancelled."""
    loop = asyncio.get_running_loop()
    recent = deque([0.0], maxlen=round(REMEMBERED_SECONDS / PERIOD_SECONDS))
    LOOP_LAG_MAX_SECONDS.set_function(lambda: max(tuple(recent)))
    while True:
        due = loop.time() + PERIOD_SECONDS
        await asyncio.sleep(PERIOD_SECONDS)
        lag = max(loop.time() - due, 0.0)
        recent.append(lag)
        LOOP_LAG_SECONDS.observe(lag)
