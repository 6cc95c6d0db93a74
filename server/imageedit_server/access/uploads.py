"""How many uploads of one tenant are read at once, and which of them end where others wait (F82)."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from imageedit_server.access import pace
from imageedit_server.access.pace import Pace
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.runtime import descriptors

AT_ONCE = 16
"""Uploads of one tenant that are read at once, which also bounds their temporary files."""
PLACE_SECONDS = 30.0
RETRY_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How often one who waits looks for a slow one to take the place of."""


class UploadPlaces:
    """The places of every tenant. An upload without one waits unread, held back by its transport."""

    def __init__(self) -> None:
        self._tenants = defaultdict[str, _Places](_Places)

    @asynccontextmanager
    async def take(self, tenant: str) -> AsyncIterator[Pace]:
        """Hold a place while an upload is read, whose pace is to be told.

        Raises QUOTA_EXCEEDED when none gets free in time, where the last files are kept for paid results, and
        for one that is slow while others of the tenant wait.
        """
        _check_files()
        async with self._tenants[tenant].place() as taken:
            yield taken


class _Places:
    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._taken: dict[Pace, asyncio.Timeout] = {}

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Pace]:
        await self._acquire()
        taken, scope = Pace(), asyncio.timeout(None)
        try:
            async with scope:
                self._taken[taken] = scope
                yield taken
        except TimeoutError:
            if not scope.expired():
                raise
            raise _too_slow() from None
        finally:
            self._taken.pop(taken, None)
            self._free.release()

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._wait()
        except TimeoutError:
            raise Refusal(
                Reason.QUOTA_EXCEEDED,
                f"{AT_ONCE} uploads are under way, the most there may be at once; try again.",
                retry_after_seconds=RETRY_SECONDS,
            ) from None

    async def _wait(self) -> None:
        """Wait in line, and end who is too slow meanwhile."""
        if not self._free.locked():
            await self._free.acquire()
            return
        turn = asyncio.ensure_future(self._free.acquire())
        try:
            while not turn.done():
                self._end_slowest()
                await asyncio.wait({turn}, timeout=LOOK_SECONDS)
        except asyncio.CancelledError:
            if not turn.cancel():
                self._free.release()
            with suppress(asyncio.CancelledError):
                await turn
            raise

    def _end_slowest(self) -> None:
        """End the slowest upload, if any is below what is the least."""
        paces = {each: found for each in self._taken if (found := each.bytes_per_second()) is not None}
        slowest = min(paces, key=lambda each: paces[each], default=None)
        if slowest is not None and paces[slowest] < pace.LEAST_BYTES_PER_SECOND:
            self._taken.pop(slowest).reschedule(asyncio.get_running_loop().time())


def _check_files() -> None:
    if descriptors.trouble():
        raise Refusal(
            Reason.QUOTA_EXCEEDED,
            "The server has as many files open as it may; try again.",
            retry_after_seconds=RETRY_SECONDS,
        )


def _too_slow() -> Refusal:
    least = pace.LEAST_BYTES_PER_SECOND // pace.KIB
    return Refusal(
        Reason.QUOTA_EXCEEDED,
        f"The upload came at less than {least} KiB/s while others waited for its place; try again.",
        retry_after_seconds=RETRY_SECONDS,
    )
