"""This room's tests run in virtual time, each in a house of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engine.house import House, Vendor
from tests.engine.serving import house, pytest_asyncio_loop_factories, vendor

__all__ = ["house", "idle", "pytest_asyncio_loop_factories", "vendor"]


@pytest.fixture
async def idle(tmp_path: Path, vendor: Vendor) -> AsyncIterator[House]:
    """A house whose engine does not run: tests move tasks themselves."""
    house = House(tmp_path, vendor)
    await house.start(serve=False)
    house.serving = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    yield house
    await house.stop()
