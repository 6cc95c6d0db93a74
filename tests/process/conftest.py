"""Servers that are all gone when a test ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.servers.places import Place
from tests.servers.processes import Servers


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    """Starts servers; kills what is left of them."""
    async with Servers(tmp_path, forked=True) as servers:
        yield servers


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> Place:
    """A place for a server's data."""
    return Place(folder=tmp_path)
