"""Memory after a storm: what pictures took is given back to the system, not kept for the next ones (F82)."""

import asyncio

from imageedit_server.runtime.memory import give_back, resident_bytes

LOOK_SECONDS = 1.0
MORE_BYTES = 16 * 1024 * 1024
"""So much more than after the last time is worth it."""


async def give_memory_back() -> None:
    """Look every second whether there is more memory than before, and give back what holds nothing.

    An eighth of what stays is taken for needed each time: what a storm holds in its midst is looked at again
    when it is over, and what has really grown is left alone after some looks.
    """
    before = resident_bytes()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = resident_bytes()
        if now - before > MORE_BYTES:
            await asyncio.to_thread(give_back)
            now = resident_bytes()
            before += (now - before) // 8
        before = min(before, now)
