"""Orphans: bytes that a crash left without a row (F4). They are never served, and removed after an hour."""

import logging
from datetime import timedelta

from imageedit_server.images.blobs.base import BlobStore
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.database import Database
from imageedit_server.store.unreferenced import oldest_running, unreferenced
from imageedit_server.upkeep.periodic import keep_doing

MIN_AGE = timedelta(hours=1)
"""Longer than any upload is between its bytes and its row."""

_log = logging.getLogger(__name__)


class Orphans:
    """Sweeps the blob store."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    async def serve(self) -> None:
        """Sweep at once and every hour, until cancelled."""
        await keep_doing(self.sweep, self._clock, "the sweep of orphaned images")

    async def sweep(self) -> int:
        """Remove every orphan, in steps that hold up nobody; return how many there were.

        No orphan is what a running task may have in hand: its inputs and results have no row before it ends.
        """
        oldest = await self._database.read(oldest_running)
        now = self._clock.now()
        moment = min(now, oldest or now) - MIN_AGE
        removed = 0
        async for image_ids in self._blobs.older_than(moment):
            orphans = await self._database.read(unreferenced, image_ids)
            removed += len(await self._blobs.remove(orphans, older_than=moment))
        if removed:
            _log.info("orphaned images removed: %d", removed)
        return removed
