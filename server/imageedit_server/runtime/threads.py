"""Where work that takes processor time is done: on the loop while it is short, else in a thread."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SHORT_BYTES = 64 * 1024
"""So much is parsed or hashed in less time than a thread's way there and back takes (PROMISES §7)."""

LONG_BYTES = SHORT_BYTES + 1
"""For work that may be long, whatever the size of what it begins with."""


async def work_on(size_bytes: int, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``function`` makes of ``size_bytes`` of content."""
    if size_bytes <= SHORT_BYTES:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)
