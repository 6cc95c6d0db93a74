"""The lag of the event loop: what blocks it is seen."""

import asyncio
import time

from imageedit_server.telemetry.loop_lag import measure_loop_lag
from imageedit_server.telemetry.metrics import REGISTRY
from tests.rpc.waiting import eventually

BLOCKED_SECONDS = 0.3


def lag(name: str) -> float:
    return REGISTRY.get_sample_value(f"imageedit_loop_lag_{name}") or 0.0


async def test_a_blocked_loop_is_seen() -> None:
    """The histogram and the maximum both say how long nothing else could run."""
    before = lag("seconds_sum")
    measuring = asyncio.create_task(measure_loop_lag())
    await asyncio.sleep(0)  # it sleeps now, to be woken while the loop is blocked
    time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251  what it is to find
    least = BLOCKED_SECONDS - 0.1 - 0.01
    await eventually(lambda: lag("max_seconds") >= least)
    assert lag("seconds_sum") - before >= least
    measuring.cancel()
