"""The wall limit of one call, which knows a stall of this process from a silent other side (F43)."""

import asyncio
from types import TracebackType

STALL_SECONDS = 0.5
"""A timer later than this has seen no slow peer but a stopped process: SIGSTOP, a suspended machine."""
STALL_GRACE_SECONDS = 3.0
"""For what came meanwhile and lies in the socket: timers and readers wake in one round, and timers win."""


class Limit:
    """``seconds`` from now, by the loop's monotonic clock, over every ``async with`` block on this limit.

    A block that does not end in time is cancelled and raises ``TimeoutError``. What is done between the
    blocks counts, but is never interrupted. A limit that has seen a stall grows, once: a body that drips
    would else evade it. Blocks do not nest.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + seconds
        self._has_grown = False
        self._timeout: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        if self._is_over():  # at once: what comes without a pause would never let a timer have its turn
            raise TimeoutError
        self._timeout = asyncio.timeout(None)
        await self._timeout.__aenter__()
        self._timer = self._loop.call_at(self._end, self._fire)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        timeout, self._timeout = self._timeout, None
        assert timeout is not None
        assert self._timer is not None
        self._timer.cancel()
        await timeout.__aexit__(kind, error, trace)

    def end_now(self) -> None:
        """Let the block that is open, and every later one, run into the limit at once."""
        self._has_grown = True
        self._end = self._loop.time()
        if self._timeout is not None:
            self._timeout.reschedule(self._end)

    def _fire(self) -> None:
        if not self._is_over():
            self._timer = self._loop.call_at(self._end, self._fire)
        elif self._timeout is not None:
            self._timeout.reschedule(self._end)

    def _is_over(self) -> bool:
        now = self._loop.time()
        if now - self._end > STALL_SECONDS and not self._has_grown:
            self._has_grown = True
            self._end = now + STALL_GRACE_SECONDS
        return now >= self._end
