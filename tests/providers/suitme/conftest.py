"""The adapter against a real vendor server on loopback, with a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.providers.base import Context
from imageedit_server.providers.suitme import SuitmeAdapter
from tests.leaps import LIMIT
from tests.providers.suitme.jobs import NOW, Jobs
from tests.vendors.suitme.server import SuitmeVendor

P = ParamSpec("P")
T = TypeVar("T")

TRUST = Trust()
API_KEY = "suitme-key-that-nobody-may-see"


class StandingClock:
    """A clock that does not move."""

    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("an adapter does not wait")


class ThreadWorkers:
    """Runs picture code in a thread; one test does it in a real worker process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)


class Silence:
    """A report that nobody reads."""

    async def __call__(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        pass


@pytest.fixture
async def vendor() -> AsyncIterator[SuitmeVendor]:
    async with SuitmeVendor(api_key=API_KEY) as vendor:
        yield vendor
        assert vendor.leaks == []


Connect = Callable[[str, Mapping[str, str]], ApiClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[ApiClient] = []

    def connect(base_url: str, headers: Mapping[str, str]) -> ApiClient:
        clients.append(ApiClient(base_url, headers, trust=TRUST))
        return clients[-1]

    yield connect
    for client in clients:
        await client.aclose()


MakeAdapter = Callable[..., SuitmeAdapter]


@pytest.fixture
def make_adapter(vendor: SuitmeVendor, connect: Connect) -> MakeAdapter:
    """Makes an adapter of the vendor; keyword arguments are settings, ``provider`` its name."""

    def make(*, provider: str = "suitme", **settings: Any) -> SuitmeAdapter:
        given = {"adapter": "suitme", "base_url": vendor.url, "api_key": API_KEY, "submit_seconds": LIMIT}
        options = SuitmeAdapter.Options.model_validate(given | settings)
        context = Context(provider=provider, clock=StandingClock(), workers=ThreadWorkers(), connect=connect)
        return SuitmeAdapter(options, context)

    return make


@pytest.fixture
def adapter(make_adapter: MakeAdapter) -> SuitmeAdapter:
    return make_adapter()


@pytest.fixture
def jobs(tmp_path: Path, adapter: SuitmeAdapter) -> Jobs:
    return Jobs(tmp_path, adapter)
