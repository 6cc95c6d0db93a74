"""The matrix: a cell is one way to misbehave at one endpoint, and what becomes of the task and the money.

Every cell has a vendor and a provider of its own in one service that runs them side by side, so that a ledger
holds one task's charges and one vendor's trouble is seen not to be another's.
"""

import asyncio
import re
import socket
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest

from imageedit_client import AsyncClient, Task, TaskEvent
from imageedit_server.outbound.addresses import parse_allow
from imageedit_server.settings import providers as provider_settings
from tests.chaos.service import Connects, Service, serving
from tests.chaos.words import billing_of, broken_log, outcomes_of, stage_of, state_of
from tests.servers.config import Table, base_tables, place_of
from tests.servers.doorway import Doorway

AT_ONCE = 40
"""Most of them wait most of their time."""
LIMIT_SECONDS = 90.0
"""No cell takes longer, whatever its vendor does."""
LOOK_SECONDS, MOST_LOOKS = 0.02, 10
QUICK: Mapping[str, Any] = {"submit_seconds": 4}
"""For calls that only the wall limit ends. Any other takes a fiftieth of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """How a task ends, what it cost, and how often the vendor was asked to work for it."""

    state: str = "SUCCEEDED"
    reason: str = ""
    attempts: tuple[str, ...] = ("SUCCEEDED",)
    billing: str = "CHARGED"
    submits: int = 1
    charges: int = 1
    until_deadline: bool = False
    """Whether these are as many attempts as there can be. A slow machine gets to fewer."""

    def at_pace_of(self, seen: "Expected") -> "Expected":
        """Return what is expected of a machine that is as slow as the one that has ``seen`` this."""
        most = len(self.attempts)
        count = min(max(len(seen.attempts), 1), most) if self.until_deadline else most
        submits = min(self.submits, count) if self.until_deadline else self.submits
        return replace(self, attempts=self.attempts[:count], submits=submits, until_deadline=False)


SUCCEEDS = Expected()


def after_wait(times: int = 1) -> Expected:
    """Succeed after ``times`` attempts that were not processed."""
    return Expected(attempts=("NOT_PROCESSED",) * times + ("SUCCEEDED",), submits=times + 1)


def refused(reason: str, *, attempts: int = 1) -> Expected:
    """Fail unpaid."""
    return Expected(
        state="FAILED",
        reason=reason,
        attempts=("NOT_PROCESSED",) * attempts,
        billing="NOT_CHARGED",
        submits=attempts,
        charges=0,
    )


def refused_until_deadline(reason: str, *, attempts: int) -> Expected:
    """Fail unpaid when there is no time for another attempt."""
    return replace(refused(reason, attempts=attempts), until_deadline=True)


def unprepared(reason: str) -> Expected:
    """Fail before anything was sent to be paid."""
    return refused(reason, attempts=0)


def unknown(*, works: bool) -> Expected:
    """End without anybody knowing; ``works`` says whether the vendor charged for it."""
    return Expected(
        state="FAILED",
        reason="SUBMIT_OUTCOME_UNKNOWN",
        attempts=("UNKNOWN",),
        billing="MAY_HAVE_BEEN_CHARGED",
        charges=int(works),
    )


def resubmitted(*, works: bool) -> Expected:
    """Succeed with a second call, which the caller asked for; each attempt is charged at most once."""
    return Expected(attempts=("UNKNOWN", "SUCCEEDED"), submits=2, charges=1 + works)


def failed(reason: str, *, billing: str = "MAY_HAVE_BEEN_CHARGED", outcome: str = "FAILED") -> Expected:
    """Fail after the vendor had taken the work."""
    return Expected(state="FAILED", reason=reason, attempts=(outcome,), billing=billing)


class Account(ABC):
    """One vendor on loopback, told to misbehave, with a key that must not get anywhere."""

    vendor: Any

    @property
    def secrets(self) -> Sequence[str]:
        """Return what nobody may see."""
        return [self.vendor.api_key]

    @property
    @abstractmethod
    def result_url(self) -> str:
        """Return where its results are."""

    @abstractmethod
    def table(self, provider: str) -> dict[str, Any]:
        """Return the provider's settings."""

    @abstractmethod
    async def create(self, client: AsyncClient, provider: str, settings: Mapping[str, Any]) -> Task:
        """Start a task at the provider of this account."""

    @abstractmethod
    def submits(self) -> int:
        """Return how many paid calls came."""

    async def __aenter__(self) -> Self:
        await self.vendor.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.vendor.__aexit__(*error)


@dataclass(frozen=True, slots=True)
class Scene:
    """What plays a part beside the task."""

    service: Service
    account: Account
    task_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """``arrange`` tells the vendor how to behave, ``meanwhile`` runs beside the task.

    ``settings`` are the provider's, ``request`` is what the caller asks for.
    """

    row: str
    endpoint: str
    name: str
    expected: Expected
    make: Callable[[], Account]
    arrange: Callable[[Any], None] = lambda vendor: None
    meanwhile: Callable[[Scene], Awaitable[None]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = re.sub(r"[^\w.+-]+", "_", self.name, flags=re.ASCII).strip("_")[:70]
        return f"{self.row}-{self.endpoint}-{words}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What was seen of a cell; ``faults`` break promises that hold in every cell."""

    seen: Expected
    seconds: float
    faults: tuple[str, ...]
    task: str


_closed = socket.socket()
_closed.bind(("127.0.0.1", 0))


def closed_port() -> str:
    """Return a base URL where nobody listens, on a port that nobody else gets."""
    return f"http://127.0.0.1:{_closed.getsockname()[1]}"


def unique(cells: Iterable[Cell]) -> list[Cell]:
    """Number the cells that would be called the same."""
    times, numbered = Counter[str](), []
    for cell in cells:
        times[str(cell)] += 1
        number = times[str(cell)]
        numbered.append(cell if number == 1 else replace(cell, name=f"{cell.name} {number}"))
    return numbered


async def run_cells(
    folder: Path, cells: Sequence[Cell], monkeypatch: pytest.MonkeyPatch, *, callbacks: bool, **engine: Any
) -> dict[str, Ran]:
    """Run the cells in one service; with ``callbacks`` vendors are told where they can call."""
    connects = Connects(monkeypatch)
    monkeypatch.setattr(provider_settings, "parse_allow", cache(parse_allow))  # for each of so many providers
    async with AsyncExitStack() as stack:
        accounts = [await stack.enter_async_context(cell.make()) for cell in cells]
        for cell, account in zip(cells, accounts, strict=True):
            cell.arrange(account.vendor)

        def tables(door: Doorway) -> Mapping[str, Table]:
            allow = [account.result_url for account in accounts]
            return {
                **base_tables(public_url=door.url if callbacks else "", allow=allow, **engine),
                **{
                    f"providers.{_provider(index)}": {**account.table(_provider(index)), **cell.settings}
                    for index, (cell, account) in enumerate(zip(cells, accounts, strict=True))
                },
            }

        service = await stack.enter_async_context(serving(folder, tables))
        places, door = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

        async def run(index: int) -> Ran:
            async with places:
                async with door:
                    await _calm()
                return await _run(cells[index], accounts[index], _provider(index), service)

        ran = await asyncio.gather(*map(run, range(len(cells))))
        known = zip(cells, accounts, strict=True)
        strangers = set(connects.places) - {place for cell, each in known for place in _places(cell, each)}
        assert not strangers, f"connected to {strangers}"
    return {str(cell): each for cell, each in zip(cells, ran, strict=True)}


async def _calm() -> None:
    """Wait until the loop has nothing to do: the limits of the next cell are not for the work of others."""
    loop = asyncio.get_running_loop()
    for _ in range(MOST_LOOKS):
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        if loop.time() < due + LOOK_SECONDS:
            return


def _provider(index: int) -> str:
    return f"p{index}"


def _places(cell: Cell, account: Account) -> list[str]:
    table = {**account.table(""), **cell.settings}
    urls = [value for value in table.values() if str(value).startswith("http://")]
    return [place_of(url) for url in (*urls, account.result_url)]


async def _run(cell: Cell, account: Account, provider: str, service: Service) -> Ran:
    begun = time.monotonic()
    events: list[TaskEvent] = []
    try:
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
            created = await account.create(service.client, provider, {"timeout": 60, **cell.request})
            if cell.meanwhile:
                scene = Scene(service=service, account=account, task_id=created.task_id)
                group.create_task(_play(cell.meanwhile, scene))
            async for event in service.client.watch(created.task_id):
                events.append(event)
            task = await service.client.get(created.task_id)
    except (TimeoutError, ExceptionGroup) as error:
        story = " ".join(f"{state_of(event.task)} {stage_of(event.task)}" for event in events)
        seen = Expected(state="stuck", submits=account.submits(), charges=len(account.vendor.ledger))
        return Ran(seen=seen, seconds=LIMIT_SECONDS, faults=(repr(error),), task=f"{error!r}: {story}")
    return Ran(
        seen=_seen(task, account),
        seconds=time.monotonic() - begun,
        faults=tuple(filter(None, _faults(events, task, account))),
        task=str(task.error),
    )


async def _play(meanwhile: Callable[[Scene], Awaitable[None]], scene: Scene) -> None:
    await meanwhile(scene)


def _seen(task: Task, account: Account) -> Expected:
    return Expected(
        state=state_of(task),
        reason=task.error.reason,
        attempts=outcomes_of(task),
        billing=billing_of(task),
        submits=account.submits(),
        charges=len(account.vendor.ledger),
    )


def _faults(events: Sequence[TaskEvent], task: Task, account: Account) -> Iterator[str]:
    yield broken_log(events)
    yield "a credential went to a result host" if account.vendor.leaks else ""
    for secret in account.secrets:
        yield f"shows {secret}" if secret in str(events) + str(task) else ""
    yield "" if bool(task.images) == (state_of(task) == "SUCCEEDED") else f"{len(task.images)} images"
