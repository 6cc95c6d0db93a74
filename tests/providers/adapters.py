"""What an adapter is given under test: a standing clock, workers, a report, and connections that end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.providers.base import Accepted, Adapter, Context, Finished, Job, Prepared, Report
from imageedit_server.runtime.workers import Workers
from imageedit_testing.members import held
from imageedit_testing.paying import carry_out
from tests.leaps import LIMIT

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound=Adapter)

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
TRUST = Trust()

Connect = Callable[[str, Mapping[str, str]], ApiClient]


class StandingClock:
    """A clock that moves only when told to, or slept by; ``slept`` are the seconds of each sleep."""

    def __init__(self) -> None:
        self.time = NOW
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class ThreadWorkers(Workers):
    """Runs picture code in a thread; one test of each adapter does it in a real worker process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)


def holding(job: Job, content: bytes) -> Job:
    """Return the job with other bytes for its first picture than those that were looked at."""
    first = replace(job.images[0], read=held(content))
    return replace(job, images=(first, *job.images[1:]))


class Reports:
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.percents: list[int] = []
        self.previews: list[bytes] = []

    async def __call__(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        if progress_percent is not None:
            self.percents.append(progress_percent)
        if preview is not None:
            self.previews.append(preview)


class Build:
    """Makes adapters of any vendor, as the registry does."""

    def __init__(self, connect: Connect, clock: StandingClock) -> None:
        self.connect = connect
        self.clock = clock

    def __call__(self, cls: type[A], adapter: str, settings: Mapping[str, Any], *, provider: str = "") -> A:
        """Make one from its settings; ``provider`` is its name, unless told that of its adapter."""
        given = {"adapter": adapter, "submit_seconds": LIMIT, **settings}
        context = Context(
            provider=provider or adapter, clock=self.clock, workers=ThreadWorkers(), connect=self.connect
        )
        return cls(cls.Options.model_validate(given), context)


@asynccontextmanager
async def connecting(clock: StandingClock) -> AsyncIterator[Connect]:
    """Open clients; all are closed when the block ends."""
    clients: list[ApiClient] = []

    def connect(base_url: str, headers: Mapping[str, str]) -> ApiClient:
        clients.append(ApiClient(base_url, headers, trust=TRUST, clock=clock))
        return clients[-1]

    try:
        yield connect
    finally:
        for client in clients:
            await client.aclose()


async def finished_by(adapter: Adapter, prepared: Prepared, report: Report) -> Finished:
    """Make the paid call of a vendor that answers with the result. Raises ``SubmitError``."""
    result = await carry_out(adapter, prepared, report)
    assert isinstance(result, Finished)
    return result


async def accepted_by(adapter: Adapter, prepared: Prepared, report: Report) -> Accepted:
    """Make the paid call of a vendor that is polled. Raises ``SubmitError``."""
    result = await carry_out(adapter, prepared, report)
    assert isinstance(result, Accepted)
    return result
