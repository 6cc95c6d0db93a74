"""How many uploads of one tenant are read at once (F82)."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.runtime import descriptors

AT_ONCE = 16
"""Uploads of one tenant that are read at once, which also bounds their temporary files."""
PLACE_SECONDS = 30.0
RETRY_SECONDS = 5.0


class UploadPlaces:
    """The places of every tenant. An upload without one waits unread, held back by its transport."""

    def __init__(self) -> None:
        self._places = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(AT_ONCE))

    @asynccontextmanager
    async def take(self, tenant: str) -> AsyncIterator[None]:
        """Hold a place while an upload is read.

        Raises QUOTA_EXCEEDED when none gets free in time, and where the last files are kept for paid results.
        """
        if descriptors.trouble():
            raise Refusal(
                Reason.QUOTA_EXCEEDED,
                "The server has as many files open as it may; try again.",
                retry_after_seconds=RETRY_SECONDS,
            )
        places = self._places[tenant]
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await places.acquire()
        except TimeoutError:
            raise Refusal(
                Reason.QUOTA_EXCEEDED,
                f"{AT_ONCE} uploads are under way, the most there may be at once; try again.",
                retry_after_seconds=RETRY_SECONDS,
            ) from None
        try:
            yield
        finally:
            places.release()
