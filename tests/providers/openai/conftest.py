"""The adapter against a real vendor server on loopback, with a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.providers.base import Context
from imageedit_server.providers.openai import OpenaiAdapter
from tests.leaps import LIMIT
from tests.providers.openai.jobs import NOW, Jobs
from tests.vendors.openai.server import OpenaiVendor, Personality

P = ParamSpec("P")
T = TypeVar("T")

TRUST = Trust()
SETTINGS: Mapping[Personality, Mapping[str, Any]] = {
    Personality.OPENAI: {},
    Personality.RELAY: {
        "rules": "relay",
        "path": "/v1/images/edits/",
        "models": {"relay/image": "relay-image"},
    },
    Personality.PAGE_3: {
        "rules": "dall-e-2",
        "path": "/v1/images/edits/",
        "models": {"relay/dall-e-2": "dall-e-2"},
    },
}


class StandingClock:
    """A clock that never moves."""

    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        pass


class ThreadWorkers:
    """Runs picture code in a thread; one test does it in a real worker process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)


class Reports:
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.previews: list[bytes] = []

    async def __call__(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        if preview is not None:
            self.previews.append(preview)


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


MakeAdapter = Callable[..., OpenaiAdapter]


@pytest.fixture
def make_adapter(connect: Connect) -> MakeAdapter:
    """Makes an adapter of a vendor; keyword arguments are settings."""

    def make(vendor: OpenaiVendor | None = None, **settings: Any) -> OpenaiAdapter:
        given: dict[str, Any] = {
            "adapter": "openai",
            "api_key": "sk-openai-test-key",
            "submit_seconds": LIMIT,
        }
        if vendor is not None:
            given |= {"base_url": vendor.url, **SETTINGS[vendor.personality]}
        options = OpenaiAdapter.Options(**given | settings)
        context = Context(provider="openai", clock=StandingClock(), workers=ThreadWorkers(), connect=connect)
        return OpenaiAdapter(options, context)

    return make


@pytest.fixture
async def vendor() -> AsyncIterator[OpenaiVendor]:
    """OpenAI itself."""
    async with OpenaiVendor() as vendor:
        yield vendor


@pytest.fixture
async def relay() -> AsyncIterator[OpenaiVendor]:
    async with OpenaiVendor(personality=Personality.RELAY) as vendor:
        yield vendor


@pytest.fixture
async def page_3() -> AsyncIterator[OpenaiVendor]:
    async with OpenaiVendor(personality=Personality.PAGE_3) as vendor:
        yield vendor


@pytest.fixture
def adapter(make_adapter: MakeAdapter, vendor: OpenaiVendor) -> OpenaiAdapter:
    return make_adapter(vendor)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


@pytest.fixture
def reports() -> Reports:
    return Reports()
