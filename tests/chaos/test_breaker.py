"""A vendor that is down is left alone, paid nothing twice for, and nobody else's trouble (P14, P15)."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from imageedit_client import AsyncClient, Task
from imageedit_server.engine import breaker, dispatcher
from tests.chaos.kie_cells import KieAccount
from tests.chaos.matrix import HEADING
from tests.chaos.pictures import photo
from tests.chaos.service import PATIENCE_SECONDS, Service, eventually, reach, serving
from tests.chaos.words import billing_of, outcomes_of, stage_of, state_of
from tests.figures import Figures
from tests.servers.config import Table, base_tables
from tests.servers.doorway import Doorway
from tests.vendors.kie.behaviours import data, page, replies
from tests.vendors.kie.server import KieVendor
from tests.vendors.serving import Line, Response, Wire

OPEN_SECONDS = 0.7
POLL_SECONDS = 0.1
DOWN_SECONDS = 5


class Door:
    """Where a vendor keeps an answer back."""

    def __init__(self) -> None:
        self.reached = 0
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    def keep(self, honest: Response) -> Wire:
        async def wire(line: Line) -> None:
            self.reached += 1
            await self._open.wait()
            await line.send(honest.head() + honest.content())

        return wire


@dataclass(frozen=True, slots=True)
class Here:
    """Two accounts at one kind of vendor; ``sick`` will be told to be down."""

    service: Service
    accounts: Mapping[str, KieAccount]

    @property
    def client(self) -> AsyncClient:
        return self.service.client

    @property
    def sick(self) -> KieVendor:
        return self.accounts["sick"].vendor

    async def create(self, name: str = "sick", **settings: object) -> Task:
        return await self.accounts[name].create(self.client, name, {"timeout": 600, **settings})

    async def ended(self, *tasks: Task) -> list[Task]:
        return await asyncio.gather(*(self.client.wait(task.task_id) for task in tasks))

    async def open_the_breaker(self) -> None:
        """Let five calls in a row end in transport failures."""
        before = len(self.sick.calls("createTask"))
        self.sick.misbehave("createTask", page(503), breaker.MAX_CONSECUTIVE)
        for _ in range(breaker.MAX_CONSECUTIVE):
            [task] = await self.ended(await self.create())
            assert task.error.reason == "SUBMIT_OUTCOME_UNKNOWN"
        assert len(self.sick.calls("createTask")) == before + breaker.MAX_CONSECUTIVE

    async def states(self, *tasks: Task) -> list[str]:
        """Return how tasks stand after the engine has looked at all of them again."""
        [other] = await self.ended(
            await self.client.edit_image("make it warmer", [photo()], model="local/basic")
        )
        assert state_of(other) == "SUCCEEDED"
        return [state_of(await self.client.get(task.task_id)) for task in tasks]


@asynccontextmanager
async def two_accounts(folder: Path, *, callbacks: bool = False) -> AsyncIterator[Here]:
    async with AsyncExitStack() as stack:
        accounts = {name: await stack.enter_async_context(KieAccount()) for name in ("sick", "well")}

        def tables(door: Doorway) -> Mapping[str, Table]:
            allow = [account.result_url for account in accounts.values()]
            return {
                **base_tables(public_url=door.url if callbacks else "", allow=allow),
                **{
                    f"providers.{name}": {**account.table(name), "poll_seconds": [POLL_SECONDS] * 3}
                    for name, account in accounts.items()
                },
            }

        service = await stack.enter_async_context(serving(folder, tables))
        yield Here(service, accounts)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_SECONDS", OPEN_SECONDS)
    monkeypatch.setattr(dispatcher, "SWEEP_SECONDS", 0.2)


async def test_an_open_breaker_keeps_tasks_queued_and_goes_on_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 3600)
    async with two_accounts(tmp_path) as here:
        here.sick.states = ("generating",)
        accepted = await here.create()
        await eventually(lambda: here.sick.calls("recordInfo"))
        await here.open_the_breaker()
        calls = len(here.sick.calls("createTask"))
        waiting = [await here.create() for _ in range(3)]
        [other] = await here.ended(await here.create("well"))
        assert state_of(other) == "SUCCEEDED"  # another account, untouched
        assert await here.states(*waiting, accepted) == ["QUEUED"] * 3 + ["RUNNING"]
        polls = len(here.sick.calls("recordInfo"))
        await eventually(lambda: len(here.sick.calls("recordInfo")) > polls + 3)
        assert len(here.sick.calls("createTask")) == calls
        here.sick.tasks[here.sick.ledger[0].task_id].states = ["success"]
        [done] = await here.ended(accepted)
        assert state_of(done) == "SUCCEEDED"


@pytest.mark.usefixtures("short")
async def test_one_task_looks_whether_the_vendor_is_well_again(tmp_path: Path) -> None:
    async with two_accounts(tmp_path) as here:
        await here.open_the_breaker()
        door = Door()
        here.sick.misbehave("createTask", replies("held", door.keep))
        tasks = [await here.create() for _ in range(4)]
        await eventually(lambda: door.reached)
        assert sorted(await here.states(*tasks)) == ["QUEUED"] * 3 + ["RUNNING"]
        assert len(here.sick.calls("createTask")) == breaker.MAX_CONSECUTIVE + 1
        door.open()
        ended = await here.ended(*tasks)
        assert [state_of(task) for task in ended] == ["SUCCEEDED"] * 4
        assert len(here.sick.ledger) == 4


@pytest.mark.usefixtures("short")
async def test_a_vendor_that_is_still_down_costs_one_call_at_a_time(tmp_path: Path) -> None:
    async with two_accounts(tmp_path) as here:
        await here.open_the_breaker()
        here.sick.misbehave("createTask", page(503), 1)
        tasks = [await here.create() for _ in range(3)]
        ended = await here.ended(*tasks)
        assert [state_of(task) for task in ended] == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
        assert len(here.sick.calls("createTask")) == breaker.MAX_CONSECUTIVE + 3
        assert len(here.sick.ledger) == 2


@pytest.mark.usefixtures("short")
async def test_what_is_only_polled_does_not_stand_in_the_probe_s_way(tmp_path: Path) -> None:
    """A callback tells that one of the calls that opened the breaker had arrived; its work may take long."""
    async with two_accounts(tmp_path, callbacks=True) as here:
        here.sick.states = ("generating",)
        here.sick.misbehave("createTask", page(503, works=True), breaker.MAX_CONSECUTIVE)
        for _ in range(breaker.MAX_CONSECUTIVE):
            polled = await here.create()
            await reach(here.client, polled.task_id, lambda task: stage_of(task) == "SUBMIT_UNKNOWN")
        assert await here.sick.call_back(here.sick.ledger[-1].task_id) == 200
        await eventually(lambda: here.sick.calls("recordInfo"))
        here.sick.states = ("success",)
        async with asyncio.timeout(PATIENCE_SECONDS):
            [probe] = await here.ended(await here.create())
        assert state_of(probe) == "SUCCEEDED"
        assert state_of(await here.client.get(polled.task_id)) == "RUNNING"


async def test_no_call_is_made_twice_while_everything_answers_503(tmp_path: Path, figures: Figures) -> None:
    """P14: the paid calls are exactly the attempts, the polls exactly the schedule's."""
    async with two_accounts(tmp_path) as here:
        never = data("never done", state="generating", resultJson="")
        begun = time.monotonic()
        here.sick.misbehave("recordInfo", page(503), None)
        here.accounts["well"].vendor.misbehave("recordInfo", never, None)
        polled = await here.ended(*[await here.create(name, timeout=DOWN_SECONDS) for name in here.accounts])
        assert [task.error.reason for task in polled] == ["DEADLINE_EXCEEDED"] * 2
        here.sick.misbehave("createTask", page(503), None)
        tasks = await here.ended(*[await here.create(timeout=DOWN_SECONDS) for _ in range(20)])
        polls = {name: len(account.vendor.calls("recordInfo")) for name, account in here.accounts.items()}
        submits = len(here.sick.calls("createTask"))
        attempts = 1 + sum(len(task.attempts) for task in tasks)
        figures.line(
            HEADING,
            f"retry amplification at 100 % 503: submits {submits / attempts:.2f}"
            f" ({submits} calls, {attempts} attempts), polls {polls['sick'] / polls['well']:.2f}",
        )
        assert submits == attempts
        polled_seconds = time.monotonic() - begun  # on after the deadline, for the grace of a result
        assert polls["sick"] <= polled_seconds / POLL_SECONDS + 1
        for task in tasks:  # a call that was made may have cost something; a task that waited did not
            called = outcomes_of(task) == ("UNKNOWN",)
            assert billing_of(task) == ("MAY_HAVE_BEEN_CHARGED" if called else "NOT_CHARGED")
            reason = "SUBMIT_OUTCOME_UNKNOWN" if called else "DEADLINE_EXCEEDED"
            assert task.error.reason == reason
