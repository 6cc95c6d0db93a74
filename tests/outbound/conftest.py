"""What the room's tests share."""

from collections.abc import AsyncIterator, Callable
from math import inf

import pytest

from imageedit_server.outbound import limits
from imageedit_server.outbound.client import ApiClient
from imageedit_server.outbound.network import Network
from tests.leaps import pytest_asyncio_loop_factories
from tests.outbound.worlds import trust

__all__ = ["MakeClient", "client", "pytest_asyncio_loop_factories"]

MakeClient = Callable[..., ApiClient]


@pytest.fixture(autouse=True)
def _leaps_are_no_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALL_SECONDS", inf)


@pytest.fixture
async def client() -> AsyncIterator[MakeClient]:
    """Make clients of a base URL, over the machine's network or another one, and close them."""
    made: list[ApiClient] = []

    def make(base_url: str, network: Network | None = None, **headers: str) -> ApiClient:
        made.append(ApiClient(base_url, headers or {"Authorization": "Bearer key"}, trust=trust(network)))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()
