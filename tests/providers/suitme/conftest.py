"""The adapter against a real vendor server on loopback, with a clock that stands still."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.providers.suitme import SuitmeAdapter
from tests.providers.adapters import Build
from tests.providers.suitme.jobs import Jobs
from tests.vendors.suitme.server import SuitmeVendor

API_KEY = "suitme-key-that-nobody-may-see"

MakeAdapter = Callable[..., SuitmeAdapter]


@pytest.fixture
async def vendor() -> AsyncIterator[SuitmeVendor]:
    async with SuitmeVendor(api_key=API_KEY) as vendor:
        yield vendor
        assert vendor.leaks == []


@pytest.fixture
def make_adapter(vendor: SuitmeVendor, build: Build) -> MakeAdapter:
    """Makes an adapter of the vendor; keyword arguments are settings, ``provider`` its name."""
    here = {"base_url": vendor.url, "api_key": API_KEY}

    def make(*, provider: str = "suitme", **settings: Any) -> SuitmeAdapter:
        return build(SuitmeAdapter, "suitme", here | settings, provider=provider)

    return make


@pytest.fixture
def adapter(make_adapter: MakeAdapter) -> SuitmeAdapter:
    return make_adapter()


@pytest.fixture(autouse=True)
def _never_waits(build: Build) -> Iterator[None]:
    """An adapter does not wait: that is the engine's to do."""
    yield
    assert build.clock.slept == []


@pytest.fixture
def jobs(tmp_path: Path, adapter: SuitmeAdapter) -> Jobs:
    return Jobs(adapter)
