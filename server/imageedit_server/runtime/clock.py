"""Time, injected so that no test has to sleep."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for what is stored, a monotonic sleep for what is waited for (F33)."""

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of monotonic time; at once for 0 and less."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop, whose time is monotonic."""
        await asyncio.sleep(max(seconds, 0))


def seconds_until(moment: datetime, now: datetime) -> float:
    """Return the seconds from ``now`` to ``moment``, 0 when it has passed."""
    return max((moment - now).total_seconds(), 0.0)


async def sleep_unless(hint: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Return after ``seconds``, or at once when ``hint`` is set; say whether it was, and clear it."""
    sleep, hinted = asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(hint.wait())
    try:
        await asyncio.wait([sleep, hinted], return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleep.cancel()
        hinted.cancel()
    is_hinted = hint.is_set()
    hint.clear()
    return is_hinted
