"""Every implementation of the ``Feed`` seam: one joins the suite with one line in ``FEEDS``."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType

from imageedit_server.feed.base import Feed
from imageedit_server.feed.local import LocalFeed


@asynccontextmanager
async def open_local() -> AsyncIterator[Feed]:
    """Make the feed of one process."""
    yield LocalFeed()


FEEDS: Mapping[str, Callable[[], AbstractAsyncContextManager[Feed]]] = MappingProxyType(
    {
        "local": open_local,
    }
)
