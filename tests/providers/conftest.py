"""What the tests of all adapters share: what an adapter is made with, and waits that are over at once."""

from collections.abc import AsyncIterator
from math import inf

import pytest

from imageedit_server.outbound import limits
from tests.leaps import leap, pytest_asyncio_loop_factories
from tests.providers.adapters import Build, Connect, Reports, StandingClock, connecting
from tests.vendors.serving import Line

__all__ = ["build", "clock", "connect", "pytest_asyncio_loop_factories", "reports", "waits_are_over"]

LONGER_THAN_ANY_LIMIT = 100.0


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def connect(clock: StandingClock) -> AsyncIterator[Connect]:
    async with connecting(clock) as connect:
        yield connect


@pytest.fixture
def build(connect: Connect, clock: StandingClock) -> Build:
    """Makes adapters; each vendor's folder says with which settings."""
    return Build(connect, clock)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def waits_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the clock ahead where a vendor keeps its client waiting: every limit is met, and none is early."""
    gone, pause = Line.client_is_gone, Line.pause
    monkeypatch.setattr(limits, "STALL_SECONDS", inf)  # which is what a leap looks like

    async def hung(line: Line) -> None:
        leap(LONGER_THAN_ANY_LIMIT)
        await gone(line)

    async def paused(line: Line, seconds: float) -> None:
        leap(LONGER_THAN_ANY_LIMIT / 20)
        await pause(line, 0)

    monkeypatch.setattr(Line, "client_is_gone", hung)
    monkeypatch.setattr(Line, "pause", paused)
