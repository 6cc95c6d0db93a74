"""One server for a file's tests, and a world in it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.rpc.serving import NARROW, SCRIPTED, Served, serving
from tests.rpc.world import World, build_world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with the providers local, scripted and narrow."""
    async with serving(tmp_path_factory.mktemp("server"), SCRIPTED, NARROW) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(served: Served) -> World:
    """Images and tasks to name in requests."""
    return await build_world(served)
