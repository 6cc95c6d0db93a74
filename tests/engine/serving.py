"""Fixtures for tests in virtual time, each in a house of its own; a folder joins by importing them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engine.house import House, Vendor
from tests.engine.virtual_time import VirtualTimeLoop

__all__ = ["house", "pytest_asyncio_loop_factories", "vendor"]


def pytest_asyncio_loop_factories() -> dict[str, type[VirtualTimeLoop]]:
    """Run every test on a loop whose time is virtual."""
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def vendor() -> Vendor:
    """The vendor behind every provider of the house."""
    return Vendor()


@pytest.fixture
async def house(tmp_path: Path, vendor: Vendor) -> AsyncIterator[House]:
    """A house that serves."""
    async with House(tmp_path, vendor) as house:
        yield house
