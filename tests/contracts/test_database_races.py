"""Every ``Database``: what two servers do to one task at the same moment leaves one order, and one answer.

All three were shown on an engine that runs units beside one another. A second engine must show them with two
databases on one store whose units have read before either writes (``Meeting``). The naive one, which runs no
unit again, fails each.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from imageedit_server.core import transitions
from imageedit_server.core.change import Change
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.task import State, Task
from imageedit_server.feed.base import Feed
from imageedit_server.store.claims import Claims, claim
from imageedit_server.store.creation import create_task
from imageedit_server.store.database import CHANGES, MOST_RUNS, Database, RunAgain
from imageedit_server.store.decisions import cancel_task, change
from imageedit_server.store.log import LeaseLost
from imageedit_server.store.tables import TASK
from tests.contracts.replicas import REPLICAS, Replicas, open_snapshots
from tests.store.making import LEASE, NOW, TENANT, claimed_task, create, history, new_task

ROUNDS = 5


@pytest.fixture(params=REPLICAS)
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Two databases on one new, empty store."""
    async with REPLICAS[request.param](tmp_path) as replicas:
        yield replicas


async def at_once(replicas: Replicas, *calls: Awaitable[Any]) -> list[Any]:
    """Let both calls meet; return what each answered or raised."""
    with replicas.meeting.held():
        return await asyncio.gather(*calls, return_exceptions=True)


async def two_servers_claim(replicas: Replicas) -> None:
    """Each task goes to one of them, and neither is told that it lost anything."""
    tasks = {(await create(replicas.first)).task_id for _ in range(3)}
    claims = [
        each.write(claim, now=NOW, lease_until=NOW + LEASE, free_by_provider={"p": 2}, most=2)
        for each in (replicas.first, replicas.second)
    ]
    answers = await at_once(replicas, *claims)
    assert [type(answer) for answer in answers] == [Claims] * 2, answers
    claimed = [each.task.task_id for answer in answers for each in answer.claimed]
    assert len(claimed) == len(set(claimed)) == 3
    for task_id in tasks:
        assert await history(replicas.first, task_id) == [(1, "QUEUED"), (2, "RUNNING")]


async def a_caller_cancels_beside_its_progress(replicas: Replicas) -> None:
    """The caller's word holds; the owner learns that its lease is gone, or that it was in time."""
    claimed = await claimed_task(replicas.first)
    cancelled, moved = await at_once(
        replicas,
        replicas.second.write(cancel_task, TENANT, claimed.task.task_id, NOW),
        replicas.first.record(change, claimed.lease, partial(transitions.progress, percent=5), NOW),
    )
    assert not isinstance(cancelled, BaseException), cancelled
    assert cancelled.status.state is State.CANCELLED
    assert isinstance(moved, LeaseLost | Task), moved
    ran = [(3, "RUNNING")] if not isinstance(moved, LeaseLost) else []
    states = [(1, "QUEUED"), (2, "RUNNING"), *ran, (len(ran) + 3, "CANCELLED")]
    assert await history(replicas.first, claimed.task.task_id) == states


async def one_request_comes_twice(replicas: Replicas) -> None:
    """P3: one task, and both callers are told of it."""
    before = await replicas.first.read(count)
    request_id = f"r{before}"
    answers = await at_once(
        replicas,
        *(
            each.write(create_task, new_task(request_id=request_id))
            for each in (replicas.first, replicas.second)
        ),
    )
    assert not [answer for answer in answers if isinstance(answer, BaseException)], answers
    assert answers[0].task_id == answers[1].task_id
    assert await replicas.first.read(count) == before + 1


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(TASK)).scalar_one()


RACES = pytest.mark.parametrize(
    "race", [two_servers_claim, a_caller_cancels_beside_its_progress, one_request_comes_twice]
)


@RACES
async def test_a_race_has_one_outcome(
    replicas: Replicas, race: Callable[[Replicas], Awaitable[None]]
) -> None:
    for _ in range(ROUNDS):
        await race(replicas)


@RACES
async def test_who_runs_no_unit_again_fails(
    tmp_path: Path, race: Callable[[Replicas], Awaitable[None]]
) -> None:
    """What keeps the races honest: two units really meet, and one of them loses."""
    async with open_snapshots(tmp_path, most_runs=1) as naive:
        with pytest.raises(AssertionError, match="more to store"):
            await race(naive)


async def test_a_unit_that_asks_is_run_again_from_the_beginning(database: Database, feed: Feed) -> None:
    """What it wrote is undone, what it told of is forgotten, and its caller hears of none of it."""
    heard: list[Change] = []
    feed.listen(heard.extend)
    runs: list[list[Change]] = []

    def unit(connection: Connection) -> int:
        runs.append(list(connection.info[CHANGES]))
        create_task(connection, new_task(user_id=str(len(runs))))
        if len(runs) < MOST_RUNS:
            raise RunAgain
        return count(connection)

    assert await database.write(unit) == 1
    assert runs == [[]] * len(runs)
    assert len(heard) == await database.read(count) == 1


async def test_a_unit_that_is_never_content_is_given_up(database: Database) -> None:
    def unit(connection: Connection) -> None:
        create_task(connection, new_task())
        raise RunAgain

    with pytest.raises(Refusal) as refused:
        await database.write(unit)
    assert refused.value.reason is Reason.STORE_BUSY
    assert await database.read(count) == 0
    await create(database)
