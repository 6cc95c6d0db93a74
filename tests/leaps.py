"""A limit that no slow machine is late for: half a minute, and over as soon as a test says so."""

import asyncio

LIMIT = 30.0


def leap(seconds: float = LIMIT) -> None:
    """Put the running loop's clock ahead: what is due until then is due at once."""
    loop = asyncio.get_running_loop()
    now = loop.time
    setattr(loop, "time", lambda: now() + seconds)  # noqa: B010  a method, which mypy would not have replaced


async def for_ever() -> None:
    """Wait for nothing."""
    await asyncio.Event().wait()
