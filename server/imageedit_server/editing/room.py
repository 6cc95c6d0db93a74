"""Room for pictures on their way: granted one after the other, so that together they keep the limit.

Between the look at what a tenant stores and the row that counts a picture, its bytes are made durable. Many
at once would each see the same room, and leave files that nobody may have.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from imageedit_server.core.image import Image
from imageedit_server.store.database import Database
from imageedit_server.store.quotas import Quota

Check = Callable[[Any, str, Quota, Sequence[Image]], None]
"""Raises QUOTA_EXCEEDED when a tenant may not store these pictures too."""


class Room:
    """What is granted and not stored yet, by tenant. ``quota`` is what each may store."""

    def __init__(self, database: Database, quota: Quota) -> None:
        self._database = database
        self._quota = quota
        self._granted = defaultdict[str, Counter[Image]](Counter)
        self._turns = defaultdict[str, asyncio.Lock](asyncio.Lock)

    @asynccontextmanager
    async def granted(self, tenant: str, images: Sequence[Image], check: Check) -> AsyncIterator[None]:
        """Hold room for ``images`` until they are stored or given up. Raises QUOTA_EXCEEDED.

        A picture that is on its way twice, or stored meanwhile, takes room once.
        """
        granted = self._granted[tenant]
        async with self._turns[tenant]:
            await self._database.look_up(check, tenant, self._quota, [*+granted, *images])
            granted.update(images)
        try:
            yield
        finally:
            granted.subtract(images)
            self._forget(tenant)

    def _forget(self, tenant: str) -> None:
        """Forget pictures that are not on their way any more, those of others stay."""
        granted = self._granted[tenant]
        for image in [image for image, number in granted.items() if not number]:
            del granted[image]
