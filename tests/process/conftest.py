"""Servers that are all gone when a test ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.process.servers import Place, Servers


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    """Starts servers; kills what is left of them."""
    servers = Servers(tmp_path)
    try:
        yield servers
    finally:
        await servers.kill_all()


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> Place:
    """A place for a server's data."""
    return Place(folder=tmp_path)
