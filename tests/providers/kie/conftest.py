"""The adapter against a real vendor server on loopback, with a clock that stands still."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.providers.kie import KieAdapter
from tests.providers.adapters import Build, StandingClock
from tests.providers.kie.jobs import Jobs
from tests.vendors.kie.server import KieVendor

WEBHOOK_KEY = "webhook-key-that-nobody-may-see"

MakeAdapter = Callable[..., KieAdapter]


@pytest.fixture
async def vendor(clock: StandingClock) -> AsyncIterator[KieVendor]:
    async with KieVendor(webhook_key=WEBHOOK_KEY, clock=lambda: clock.now().timestamp()) as vendor:
        yield vendor
        assert vendor.leaks == []


@pytest.fixture
def make_adapter(vendor: KieVendor, build: Build) -> MakeAdapter:
    """Makes an adapter of the vendor; keyword arguments are settings."""
    here = {
        "base_url": vendor.api_url,
        "upload_url": vendor.upload_url,
        "api_key": vendor.api_key,
        "callback_hmac_key": vendor.webhook_key,
    }

    def make(**settings: Any) -> KieAdapter:
        return build(KieAdapter, "kie", here | settings)

    return make


@pytest.fixture
def adapter(make_adapter: MakeAdapter) -> KieAdapter:
    return make_adapter()


@pytest.fixture
def jobs(tmp_path: Path, adapter: KieAdapter) -> Jobs:
    return Jobs(adapter)
