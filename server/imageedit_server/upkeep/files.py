"""The files that are served are looked at every second: nothing is acknowledged into lost ones (F28)."""

import asyncio
from collections.abc import Callable, Sequence

from imageedit_server.runtime.standing import FilesLost

LOOK_SECONDS = 1.0


async def watch_files(looks: Sequence[Callable[[], str]]) -> None:
    """Ask each of ``looks``, in a thread, what is lost, until something is. Raises ``FilesLost`` then."""
    while True:
        for look in looks:
            if lost := await asyncio.to_thread(look):
                raise FilesLost(lost)
        await asyncio.sleep(LOOK_SECONDS)
