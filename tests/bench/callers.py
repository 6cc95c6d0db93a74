"""Callers that do one thing again and again, each as soon as it was done."""

import asyncio
import time
from collections.abc import Awaitable, Callable

Act = Callable[[], Awaitable[object]]


async def keep_on(act: Act, callers: int, seconds: float) -> int:
    """Let so many callers act for so long, each at least once; return how often it was done."""
    done, until = 0, time.perf_counter() + seconds

    async def call() -> None:
        nonlocal done
        while True:
            await act()
            done += 1
            if time.perf_counter() > until:
                return

    await asyncio.gather(*(call() for _ in range(callers)))
    return done


async def repeat(act: Act, callers: int, times: int = 1) -> int:
    """Let so many callers act so often each; return how often it was done."""

    async def call() -> None:
        for _ in range(times):
            await act()

    await asyncio.gather(*(call() for _ in range(callers)))
    return callers * times
