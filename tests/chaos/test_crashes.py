"""A killed server pays nobody twice and loses no paid result that it can hear of (F5 to F12, P5, P6)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from imageedit_client import AsyncClient, Pace, Task
from tests.chaos.cells import SUCCEEDS, Account, Expected, resubmitted, unknown
from tests.chaos.kie_cells import KieAccount
from tests.chaos.matrix import HEADING
from tests.chaos.openai_cells import GPT_IMAGE, RELAY, OpenaiAccount
from tests.chaos.service import eventually
from tests.chaos.suitme_cells import SuitmeAccount
from tests.chaos.words import billing_of, broken_log, outcomes_of, state_of
from tests.figures import Figures
from tests.servers.config import Table, base_tables
from tests.servers.homes import Server, home
from tests.vendors.kie.behaviours import on_the_wire as kie_on_the_wire
from tests.vendors.openai.behaviours import on_the_wire as openai_on_the_wire
from tests.vendors.serving import hang
from tests.vendors.suitme.behaviours import on_the_wire as suitme_on_the_wire

pytestmark = pytest.mark.timeout(600)  # so many starts of servers

WINDOW_SECONDS = 600.0
"""For a callback. Where none will come, it is not waited for so long."""
HANGS = {
    "kie": ("createTask", kie_on_the_wire("hangs", hang)),
    "relay": (openai_on_the_wire("hangs", hang),),
    "suitme": ("models/default", suitme_on_the_wire("hangs", hang)),
}
"""Told to a vendor: take the call, charge for it, and never answer."""
AT_ONCE = 3
PATIENT = Pace(call_seconds=200, patience_seconds=200)
RESUBMIT = {"on_unknown": "RESUBMIT"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """A task and the points at which its server dies, one after the other.

    ``calls_back`` says whether its vendor can, which it does while the server is up for the last time.
    """

    name: str
    provider: str
    failpoints: tuple[str, ...]
    expected: Expected
    calls_back: bool = False
    window_seconds: float = WINDOW_SECONDS
    request: Mapping[str, Any] = field(default_factory=dict)


NOT_SENT = replace(unknown(works=False), attempts=("UNKNOWN",), submits=0)
F6, F8, F94 = "submit_after_intent", "submit_after_reply", "answer_head"
ANSWERED = (
    "answer_reserved",
    "answer_durable",
    "answer_understood",
    "submit_after_reply",
    "upload_before_fsync",
    "download_before_commit",
)
"""F93, F96, F97, F8, F3, F12: each start goes on from the answer in its file, and nothing is paid twice."""
ALL_THE_WAY = (
    "create_after_commit",
    "claim_before_intent",
    "submit_before_intent",
    "submit_after_accepted",
    "poll_after_success",
    "upload_before_fsync",  # of the result: the input was uploaded to an earlier process
    "upload_after_rename",
    "download_before_commit",
    "download_after_commit",
)
"""F2, F5, F9 to F13: points that cost nothing but time, however often a server dies."""
CRASHES = (
    Crash(name="all the way", provider="kie", failpoints=ALL_THE_WAY, expected=SUCCEEDS),
    Crash(name="F6 intended", provider="kie", failpoints=(F6,), expected=NOT_SENT),
    Crash(
        name="F6 with a window",
        provider="kie",
        failpoints=(F6,),
        expected=NOT_SENT,
        calls_back=True,
        window_seconds=3,
    ),
    Crash(name="F8 replied", provider="kie", failpoints=(F8,), expected=SUCCEEDS),
    Crash(name="F94 cut", provider="kie", failpoints=(F94,), expected=unknown(works=True)),
    Crash(name="F94 called back", provider="kie", failpoints=(F94,), expected=SUCCEEDS, calls_back=True),
    Crash(name="sync F8", provider="relay", failpoints=(F8,), expected=SUCCEEDS),
    Crash(name="sync F94", provider="relay", failpoints=(F94,), expected=unknown(works=True)),
    Crash(name="sync answered", provider="gpt_image", failpoints=ANSWERED, expected=SUCCEEDS),
    Crash(name="sync F95", provider="gpt_image", failpoints=("answer_whole",), expected=SUCCEEDS),
    Crash(
        name="sync F94 sent again",
        provider="relay",
        failpoints=(F94,),
        expected=resubmitted(works=True),
        request=RESUBMIT,
    ),
    Crash(name="sync F8 twice", provider="relay", failpoints=(F8, F8), expected=SUCCEEDS, request=RESUBMIT),
    Crash(
        name="sync F6 sent again",
        provider="relay",
        failpoints=(F6,),
        expected=replace(resubmitted(works=False), submits=1),
        request=RESUBMIT,
    ),
    Crash(
        name="sync F94 twice",
        provider="relay",
        failpoints=(F94, F94),
        expected=replace(unknown(works=True), attempts=("UNKNOWN", "UNKNOWN"), submits=2, charges=2),
        request=RESUBMIT,
    ),
    Crash(
        name="sync F5 and F12",
        provider="relay",
        failpoints=("submit_before_intent", "download_before_commit"),
        expected=SUCCEEDS,
    ),
    Crash(
        name="sync F12 without a URL",
        provider="gpt_image",
        failpoints=("download_before_commit",),
        expected=SUCCEEDS,
    ),
    Crash(
        name="suitme F9 and F10",
        provider="suitme",
        failpoints=("submit_after_accepted", "poll_after_success"),
        expected=SUCCEEDS,
    ),
    Crash(name="suitme F8", provider="suitme", failpoints=(F8,), expected=SUCCEEDS),
    Crash(name="suitme F94", provider="suitme", failpoints=(F94,), expected=unknown(works=True)),
)


@dataclass(frozen=True, slots=True)
class World:
    """A server that can be killed, its vendors, and the shipped client."""

    server: Server
    client: AsyncClient
    accounts: Mapping[str, Account]

    def seen(self, task: Task, provider: str) -> Expected:
        """Say how a task ended and what its vendor did."""
        account = self.accounts[provider]
        return Expected(
            state=state_of(task),
            reason=task.error.reason,
            attempts=outcomes_of(task),
            billing=billing_of(task),
            submits=account.submits(),
            charges=len(account.vendor.ledger),
        )


@asynccontextmanager
async def world(
    folder: Path, *, calls_back: bool, window_seconds: float = WINDOW_SECONDS
) -> AsyncIterator[World]:
    accounts: dict[str, Account] = {
        "kie": KieAccount(),
        "relay": OpenaiAccount(RELAY),
        "gpt_image": OpenaiAccount(GPT_IMAGE),
        "suitme": SuitmeAccount(),
    }
    async with AsyncExitStack() as stack:
        for account in accounts.values():
            await stack.enter_async_context(account)

        def tables(http: str) -> Mapping[str, Table]:
            allow = [account.result_url for account in accounts.values()]
            providers = {
                f"providers.{name}": {**account.table(name), "submit_seconds": 300}
                for name, account in accounts.items()
            }
            providers["providers.kie"]["adapter"] = "kie"
            public_url = http if calls_back else ""
            window = {"unknown_window_seconds": window_seconds}
            return {**base_tables(public_url=public_url, allow=allow, **window), **providers}

        server = await stack.enter_async_context(home(folder, tables))
        client = await stack.enter_async_context(AsyncClient(server.address, pace=PATIENT))
        yield World(server, client, accounts)


PROVIDERS = {"kie": "", "relay": "relay", "gpt_image": "gpt_image", "suitme": "suitme"}
"""By what name each account calls its models; kie.ai's have none before them."""


async def follow(world: World, crash: Crash) -> Task:
    """Create a task and follow it to its end with the shipped client, across every crash."""
    account, client = world.accounts[crash.provider], world.client
    settings = {"timeout": 1200, **crash.request}
    created = await account.create(client, PROVIDERS[crash.provider], settings)
    events = [event async for event in client.watch(created.task_id)]
    assert not broken_log(events)
    return await client.get(created.task_id)


async def play(folder: Path, crash: Crash) -> tuple[Expected, int]:
    """Let the server die where it should and start it again; say how its task ended, and how many are."""
    place = world(folder, calls_back=crash.calls_back, window_seconds=crash.window_seconds)
    async with place as here, asyncio.TaskGroup() as group:
        first, *rest = [*crash.failpoints, ""]
        await here.server.start(first)
        following = group.create_task(follow(here, crash))
        for failpoint in rest:
            await here.server.died()
            await here.server.start(failpoint)
            if crash.calls_back:
                await call_back(here.accounts["kie"].vendor)
        task = await following
        return here.seen(task, crash.provider), len([each async for each in here.client.list()])


async def call_back(vendor: Any) -> None:
    """Deliver the callback of every task that was charged for."""
    for charge in vendor.ledger:
        vendor.finish(charge.task_id)
        assert await vendor.call_back(charge.task_id) == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plays(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, asyncio.Task[tuple[Expected, int]]]]:
    """All crashes, a few at a time: each waits for processes most of its time."""
    asked = {item.name for item in request.session.items}
    make_folder, places = tmp_path_factory.mktemp, asyncio.Semaphore(AT_ONCE)

    async def one(crash: Crash) -> tuple[Expected, int]:
        async with places:
            return await play(make_folder(crash.name.replace(" ", "-").replace(",", "")), crash)

    chosen = [crash for crash in CRASHES if f"test_a_crash[{crash.name}]" in asked]
    yield {crash.name: asyncio.create_task(one(crash)) for crash in chosen}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.name)
async def test_a_crash(
    crash: Crash, plays: Mapping[str, asyncio.Task[tuple[Expected, int]]], figures: Figures
) -> None:
    for _ in crash.failpoints:
        figures.cell(HEADING, crash.provider.replace("_", "-"), "crash")
    assert await plays[crash.name] == (crash.expected, 1)


async def test_killed_while_the_vendors_work(tmp_path: Path) -> None:
    """F7: every vendor took the call and charged for it, and nobody read an answer. Only a callback helps."""
    async with world(tmp_path, calls_back=True) as here, asyncio.TaskGroup() as group:
        for name, told in HANGS.items():
            here.accounts[name].vendor.misbehave(*told)
        await here.server.start()
        following = {
            name: group.create_task(
                follow(here, Crash(name=name, provider=name, failpoints=(), expected=SUCCEEDS))
            )
            for name in HANGS
        }
        await eventually(lambda: all(len(here.accounts[name].vendor.ledger) == 1 for name in HANGS))
        await here.server.kill()
        await here.server.start()
        await call_back(here.accounts["kie"].vendor)
        for name, expected in (
            ("kie", SUCCEEDS),
            ("relay", unknown(works=True)),
            ("suitme", unknown(works=True)),
        ):
            assert here.seen(await following[name], name) == expected
