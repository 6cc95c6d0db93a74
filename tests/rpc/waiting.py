"""Waiting for what another task does soon, for at most a minute."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

PATIENCE_SECONDS = 60.0
STEP_SECONDS = 0.005


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return as soon as ``holds()``."""
    for _ in _patience():
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(STEP_SECONDS)
    raise AssertionError(f"{holds} did not become true")


def _patience() -> Iterator[None]:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        yield
