"""The adapter against a real vendor server on loopback, with a clock that stands still."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.providers.openai import OpenaiAdapter
from tests.providers.adapters import Build
from tests.providers.openai.jobs import Jobs
from tests.vendors.openai.server import OpenaiVendor, Personality

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

MakeAdapter = Callable[..., OpenaiAdapter]


@pytest.fixture
def make_adapter(build: Build) -> MakeAdapter:
    """Makes an adapter of a vendor; keyword arguments are settings."""

    def make(vendor: OpenaiVendor | None = None, **settings: Any) -> OpenaiAdapter:
        here: dict[str, Any] = {"api_key": "sk-openai-test-key"}
        if vendor is not None:
            here |= {"base_url": vendor.url, **SETTINGS[vendor.personality]}
        return build(OpenaiAdapter, "openai", here | settings)

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
    return Jobs()
