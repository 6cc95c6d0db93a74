"""The places of the worker pool: who is let in when one is free."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum


class Lane(IntEnum):
    """Where a job waits for its place; the lanes are served in this order, each in the order of asking."""

    RESULTS = 0
    """What was paid for and must come home: it waits for no upload, whoever sends them (P6)."""
    OTHERS = 1


class Places:
    """So many places, as a semaphore has them, with lanes in front of them.

    One that is given back goes straight to who waits first. A caller that is cancelled while it waits loses
    nothing of it to nobody: a place that it was given in the same moment goes on to the next.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}

    @asynccontextmanager
    async def hold(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a place in ``lane`` and hold it until the block ends."""
        await self._take(lane)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, lane: Lane) -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting[lane].remove(turn)
            else:
                self._give_back()
            raise

    def _give_back(self) -> None:
        for waiting in self._waiting.values():
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
