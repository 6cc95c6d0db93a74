"""Every ``Database``: a unit is committed whole or not at all, whatever happens beside it (P1, P29, P30)."""

import asyncio
from pathlib import Path
from sqlite3 import OperationalError

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from imageedit_server.core.change import Change
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.task import Outcome, Task
from imageedit_server.feed.base import Feed
from imageedit_server.store.attempts import Fact, learn
from imageedit_server.store.creation import add_images, create_task
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import change
from imageedit_server.store.queries import find_task, get_task
from imageedit_server.store.tables import TASK
from tests.contracts.databases import Member
from tests.rpc.waiting import eventually
from tests.store.making import (
    LATER,
    NOW,
    TENANT,
    claim_all,
    create,
    finish,
    image,
    new_task,
    state_of,
    submitted,
)

MORE_THAN_CAN_WAIT = 3000


class Broke(Exception):
    """What a unit of these tests raises."""


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(TASK)).scalar_one()


async def ask(*awaitables: object) -> "list[asyncio.Future[object]]":
    """Begin every call, so that all of them wait."""
    futures = [asyncio.ensure_future(each) for each in awaitables]  # type: ignore[call-overload]
    await asyncio.sleep(0)
    return futures


async def test_a_unit_that_raises_leaves_nothing(database: Database) -> None:
    """Its own error comes out, and all that it wrote before is gone, images and events too."""
    new = new_task(request_id="r")

    def unit(connection: Connection) -> None:
        create_task(connection, new, [image(1)])
        claim = create_task(connection, new_task())
        assert count(connection) == 2, claim
        raise Broke

    with pytest.raises(Broke):
        await database.write(unit)
    assert await database.read(count) == 0
    assert await create(database, request_id="r", body="another") is not None


async def test_a_broken_statement_leaves_nothing(database: Database) -> None:
    def unit(connection: Connection) -> None:
        create_task(connection, new_task())
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(DBAPIError):
        await database.write(unit)
    assert await database.read(count) == 0


async def test_a_unit_that_fails_takes_nothing_with_it(member: Member, database: Database) -> None:
    """Units that are committed together fail alone, before and after the failing one."""

    def fail(connection: Connection, number: int) -> None:
        create_task(connection, new_task())
        raise Broke(number)

    async with member.held_up(database):
        futures = await ask(
            *(
                database.write(fail, number) if number % 3 else create(database, user_id=str(number))
                for number in range(30)
            )
        )
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert [answer.args for answer in answers if isinstance(answer, Broke)] == [
        (number,) for number in range(30) if number % 3
    ]
    assert await database.read(count) == 10


async def test_units_run_in_the_order_in_which_they_were_asked_for(
    member: Member, database: Database
) -> None:
    async with member.held_up(database):
        futures = await ask(
            *(database.record(create_task, new_task(user_id=str(number))) for number in range(50))
        )
    await asyncio.gather(*futures)

    def users(connection: Connection) -> list[str]:
        return list(connection.execute(select(TASK.c.user_id).order_by(TASK.c.number)).scalars())

    assert await database.read(users) == [str(number) for number in range(50)]


async def test_a_caller_that_goes_away_leaves_all_or_nothing(database: Database) -> None:
    """P30: cancelled while the unit waits, runs or is committed, it is never half there."""
    tasks = [new_task() for _ in range(60)]

    def twice(connection: Connection, number: int) -> None:
        create_task(connection, tasks[number])
        create_task(connection, tasks[number + 1])

    for number in range(0, 60, 2):
        writing = asyncio.ensure_future(database.write(twice, number))
        for _ in range(number // 2):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    await database.write(count)  # everything before it is settled
    for number in range(0, 60, 2):
        pair = [await database.read(get_task, TENANT, task.task_id) for task in tasks[number : number + 2]]
        assert [found is None for found in pair] in ([True, True], [False, False])


async def test_what_a_gone_caller_committed_is_told_to_watchers(
    member: Member, database: Database, feed: Feed
) -> None:
    heard: list[Change] = []
    feed.listen(heard.extend)
    async with member.held_up(database):
        [future] = await ask(create(database))
        future.cancel()
    await database.write(count)
    assert [change.seq for change in heard] == [1] * await database.read(count)


WAYS = pytest.mark.parametrize("way", ["read", "look_up"])


@WAYS
async def test_a_read_sees_what_was_answered(database: Database, way: str) -> None:
    """P1: after the answer, every reader sees it."""
    for _ in range(20):
        task = await create(database)
        reads = await asyncio.gather(
            *(getattr(database, way)(get_task, TENANT, task.task_id) for _ in range(8))
        )
        assert reads == [task] * 8


@WAYS
async def test_a_read_does_not_see_what_is_not_committed(
    member: Member, database: Database, way: str
) -> None:
    async with member.held_up(database):
        [writing] = await ask(create(database))
        assert await getattr(database, way)(count) == 0
    await writing
    assert await getattr(database, way)(count) == 1


@WAYS
async def test_a_read_cannot_write(database: Database, way: str) -> None:
    with pytest.raises((OperationalError, KeyError)):
        await getattr(database, way)(add_images, TENANT, [image(1)], NOW)
    with pytest.raises(DBAPIError):
        await getattr(database, way)(lambda connection: connection.execute(TASK.delete()).rowcount)


@WAYS
async def test_a_query_that_raises_does_no_harm(database: Database, way: str) -> None:
    def query(connection: Connection) -> None:
        count(connection)
        raise Broke

    for _ in range(10):
        with pytest.raises(Broke):
            await getattr(database, way)(query)
    await create(database)
    assert await asyncio.gather(*(getattr(database, way)(count) for _ in range(10))) == [1] * 10


async def test_too_many_waiting_writes_are_refused_at_once(member: Member, database: Database) -> None:
    """P29: STORE_BUSY says when to come again; facts and decisions are never refused."""
    async with member.held_up(database):
        futures = await ask(*(database.write(count) for _ in range(MORE_THAN_CAN_WAIT)))
        [fact] = await ask(database.record(count))
        refused = [future.exception() for future in futures if future.done()]
        assert refused
        for error in refused:
            assert isinstance(error, Refusal)
            assert error.reason is Reason.STORE_BUSY
            assert error.retry_after_seconds is not None
        assert not fact.done()
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert answers.count(0) == MORE_THAN_CAN_WAIT - len(refused)
    assert await fact == 0
    assert await database.write(count) == 0


# A full disk (F19)


async def fill(database: Database, member: Member) -> int:
    """Take the disk away; return how many tasks were created in the room that was left."""
    await database.write(member.fill)
    created = 0

    async def create_until_it_is_full() -> None:
        nonlocal created
        while created < 1000:
            await create(database, prompt="x" * 30_000)
            created += 1

    with pytest.raises(Refusal) as refused:
        await create_until_it_is_full()
    assert refused.value.reason is Reason.STORAGE_FULL
    return created


async def test_a_full_disk_refuses_writes_and_answers_reads(member: Member, database: Database) -> None:
    before = await create(database)
    created = await fill(database, member)
    for write in (database.write, database.record):
        with pytest.raises(Refusal) as refused:
            await write(create_task, new_task(prompt="x" * 30_000))
        assert refused.value.reason is Reason.STORAGE_FULL
        assert "sql" not in refused.value.message.lower()
    assert await database.read(count) == created + 1
    assert await database.read(get_task, TENANT, before.task_id) == before


async def test_a_full_disk_recovers_alone(member: Member, database: Database) -> None:
    await fill(database, member)
    await database.write(member.free)
    task = await create(database, prompt="x" * 30_000)
    assert await database.read(get_task, TENANT, task.task_id) == task
    assert not database.broken.done()


async def test_a_full_disk_is_a_trouble_until_there_is_room(member: Member, database: Database) -> None:
    """Nobody writes meanwhile: the database finds out by itself, and stores nothing of ours doing so."""
    assert database.trouble() == ""
    created = await fill(database, member)
    assert database.trouble() == "the disk is full"
    await database.write(member.free)
    await eventually(lambda: not database.trouble())
    assert await database.read(count) == created


async def test_on_a_full_disk_nobody_is_told_a_lie(member: Member, database: Database, feed: Feed) -> None:
    """Of units that wait together, each is stored or refused as full; none is half there or forgotten."""
    small = [await create(database) for _ in range(3)]
    claimed = await claim_all(database)
    await database.write(member.fill)
    new = [new_task(prompt="x" * 30_000) for _ in range(40)]
    heard: list[Change] = []
    feed.listen(heard.extend)
    async with member.held_up(database):
        futures = await ask(
            *(database.record(change, each.lease, finish, LATER) for each in claimed),
            *(database.write(create_task, each) for each in new),
        )
    answers = await asyncio.gather(*futures, return_exceptions=True)
    full = [answer for answer in answers if isinstance(answer, BaseException)]
    assert full
    assert {getattr(error, "reason", error) for error in full} == {Reason.STORAGE_FULL}
    ids = [*(task.task_id for task in small), *(task.task_id for task in new)]
    for task_id, answer in zip(ids, answers, strict=True):
        stored = await database.read(get_task, TENANT, task_id)
        if isinstance(answer, BaseException):
            assert stored is None or stored.seq == 2
        else:
            assert stored == answer
    told = {change.task_id for change in heard}
    assert told == {answer.task_id for answer in answers if isinstance(answer, Task)}


async def test_what_needs_no_room_is_not_refused_with_what_needs_it(
    member: Member, database: Database
) -> None:
    """A caller's large task does not take a fact down that waited beside it."""
    claimed, key = await submitted(database)
    await fill(database, member)
    accepted = Fact(outcome=Outcome.ACCEPTED)
    async with member.held_up(database):
        fact, large, later = await ask(
            database.record(learn, key, accepted),
            database.write(create_task, new_task(prompt="x" * 30_000)),
            database.record(count),
        )
    answers = await asyncio.gather(fact, large, later, return_exceptions=True)
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, False]
    task = await database.read(find_task, claimed.task.task_id)
    assert task.status.attempts[0].outcome is Outcome.ACCEPTED


async def test_what_was_known_before_the_disk_was_full_survives_it(member: Member, tmp_path: Path) -> None:
    async with member.open(tmp_path) as database:
        claimed, key = await submitted(database)
        await database.write(learn, key, Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v"))
        await fill(database, member)
    async with member.open(tmp_path) as database:
        task = await database.read(find_task, claimed.task.task_id)
        assert task.status.attempts[0].vendor_task_id == "v"
        await database.write(change, claimed.lease, finish, LATER)
        assert await state_of(database, task.task_id) == ("SUCCEEDED", 4)
