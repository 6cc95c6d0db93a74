"""The adapter against a real vendor server on loopback, with a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.providers.base import Context
from imageedit_server.providers.kie import KieAdapter
from tests.leaps import LIMIT
from tests.providers.kie.jobs import NOW, Jobs
from tests.vendors.kie.server import KieVendor

P = ParamSpec("P")
T = TypeVar("T")

TRUST = Trust()
WEBHOOK_KEY = "webhook-key-that-nobody-may-see"


class StandingClock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class ThreadWorkers:
    """Runs picture code in a thread; one test does it in a real worker process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)


class Silence:
    """A report that nobody reads."""

    async def __call__(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        pass


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def vendor(clock: StandingClock) -> AsyncIterator[KieVendor]:
    async with KieVendor(webhook_key=WEBHOOK_KEY, clock=lambda: clock.now().timestamp()) as vendor:
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


MakeAdapter = Callable[..., KieAdapter]


@pytest.fixture
def make_adapter(vendor: KieVendor, clock: StandingClock, connect: Connect) -> MakeAdapter:
    """Makes an adapter of the vendor; keyword arguments are settings."""

    def make(**settings: Any) -> KieAdapter:
        given = {
            "adapter": "kie",
            "base_url": vendor.api_url,
            "upload_url": vendor.upload_url,
            "api_key": vendor.api_key,
            "callback_hmac_key": vendor.webhook_key,
            "submit_seconds": LIMIT,
        }
        options = KieAdapter.Options.model_validate(given | settings)
        context = Context(provider="kie", clock=clock, workers=ThreadWorkers(), connect=connect)
        return KieAdapter(options, context)

    return make


@pytest.fixture
def adapter(make_adapter: MakeAdapter) -> KieAdapter:
    return make_adapter()


@pytest.fixture
def jobs(tmp_path: Path, adapter: KieAdapter) -> Jobs:
    return Jobs(tmp_path, adapter)
