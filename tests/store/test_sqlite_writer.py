"""The SQLite writer: it groups commits, gives up waiting, and stops when the disk lied (P29, F21, F22)."""

import asyncio
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from imageedit_server.core.change import Change
from imageedit_server.core.errors import Reason, Refusal, task_not_found
from imageedit_server.core.request import Input
from imageedit_server.core.task import State, Status
from imageedit_server.feed.local import LocalFeed
from imageedit_server.store import claims
from imageedit_server.store.attempts import called_late
from imageedit_server.store.backlog import backlog
from imageedit_server.store.claims import claim
from imageedit_server.store.creation import create_task
from imageedit_server.store.decisions import cancel_task
from imageedit_server.store.log import append_event, update_row
from imageedit_server.store.queries import get_image, get_task, list_tasks, row_by_id
from imageedit_server.store.retention import forget_images, forget_tasks
from imageedit_server.store.sqlite import database as sqlite_database
from imageedit_server.store.sqlite import group_commit
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.sqlite.file import driver
from imageedit_server.store.sqlite.group_commit import COMMITTING, MAX_GROUP
from imageedit_server.store.unreferenced import oldest_running
from tests.contracts.databases import held_up_sqlite, open_sqlite
from tests.contracts.test_database_transactions import ask, count
from tests.store.making import (
    LEASE,
    NOW,
    TENANT,
    claimed_task,
    create,
    finish,
    history,
    image,
    new_task,
    state_of,
)

DAY = timedelta(days=1)


def trace(database: SqliteDatabase, statements: list[str]) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        driver(connection).set_trace_callback(statements.append)

    return begin


async def test_units_that_wait_are_committed_together(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group commit: what waits costs one fsync, not one each; a group has a bound."""
    monkeypatch.setattr(group_commit, "MAX_GROUP_SECONDS", 60)
    statements: list[str] = []
    await database.write(trace(database, statements))
    statements.clear()
    waiting = 2 * MAX_GROUP + 1
    async with held_up_sqlite(database):
        futures = await ask(*(create(database) for _ in range(waiting)))
    await asyncio.gather(*futures)
    assert statements.count("COMMIT") == 1 + 3  # the one that held the writer up, then two groups and a rest
    assert statements.count("BEGIN IMMEDIATE") == 1 + 3
    assert not any(statement in ("BEGIN", "BEGIN DEFERRED") for statement in statements)  # P29
    assert await database.read(count) == waiting


@pytest.mark.parametrize("writes", [False, True])
async def test_a_unit_that_fails_takes_nothing_with_it(database: SqliteDatabase, writes: bool) -> None:
    """A savepoint is a copy of each page: there are some only where one failed after it had written."""
    statements: list[str] = []
    ran: list[str] = []

    def unit(connection: Connection, name: str) -> str:
        ran.append(name)
        if name != "fails" or writes:
            create_task(connection, new_task())
        if name == "fails":
            raise task_not_found()
        return name

    await database.write(trace(database, statements))
    async with held_up_sqlite(database):
        futures = await ask(*(database.write(unit, name) for name in ("a", "fails", "b")))
    first, failed, last = await asyncio.gather(*futures, return_exceptions=True)
    assert (first, last) == ("a", "b")
    assert isinstance(failed, Refusal)
    assert failed.reason is Reason.TASK_NOT_FOUND
    assert ran == (["a", "fails"] if writes else []) + ["a", "fails", "b"]
    assert statements.count("SAVEPOINT unit") == (3 if writes else 0)
    assert await database.read(count) == 2


async def test_what_waited_too_long_is_refused_but_a_fact_is_not(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F21: a writer that is stuck answers STORE_BUSY, never "database is locked"."""
    monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", -1)
    with pytest.raises(Refusal) as refused:
        await create(database)
    assert refused.value.reason is Reason.STORE_BUSY
    assert refused.value.retry_after_seconds == 1
    assert await database.record(count) == 0
    monkeypatch.undo()
    await create(database)


async def test_another_programs_lock_is_waited_for_beside_the_loop(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F21: callers are told STORE_BUSY in the end, a fact waits, and the loop never stands still."""
    monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "imageedit.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    fact = asyncio.ensure_future(database.record(count))
    with pytest.raises(Refusal) as refused:
        await create(database)
    assert refused.value.reason is Reason.STORE_BUSY
    assert not fact.done()
    other.execute("ROLLBACK")
    other.close()
    assert await fact == 0
    await create(database)


async def test_what_cannot_be_read_at_once_is_read_beside_the_loop(database: SqliteDatabase) -> None:
    def query(connection: Connection) -> int:
        if threading.current_thread() is threading.main_thread():
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorname = "SQLITE_BUSY_RECOVERY"
            raise error
        return count(connection)

    assert await database.look_up(query) == 0


async def test_only_a_group_that_wrote_something_waits_for_the_disk(database: SqliteDatabase) -> None:
    on_the_loop: list[bool] = []

    def note(statement: str) -> None:
        if statement == "COMMIT":
            on_the_loop.append(threading.current_thread() is threading.main_thread())

    await database.record(lambda connection: driver(connection).set_trace_callback(note))
    await database.record(count)
    await create(database)
    assert on_the_loop == [True, True, False]


async def test_closing_commits_what_waits(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path)
    await database.open()
    async with held_up_sqlite(database):
        futures = await ask(*(create(database) for _ in range(2 * MAX_GROUP)))
        closing = asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
    await closing
    tasks = await asyncio.gather(*futures)
    async with open_sqlite(tmp_path) as again:
        assert await again.read(count) == len(tasks)


async def test_closing_does_not_wait_for_another_program_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fact waits for the lock while the server serves, but must not hold up its end (P24)."""
    monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", 0.05)
    database = SqliteDatabase(tmp_path)
    await database.open()
    with closing(sqlite3.connect(tmp_path / "imageedit.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        fact = asyncio.ensure_future(database.record(count))
        with pytest.raises(Refusal):
            await create(database)
        async with asyncio.timeout(30):
            await database.close()
        with pytest.raises(Refusal) as refused:
            await fact
    assert refused.value.reason is Reason.STORE_BUSY


async def test_a_task_is_forgotten_in_as_many_statements_however_many_images_it_has(
    database: SqliteDatabase,
) -> None:
    """Each costs the loop time, and a task may have dozens of images."""
    costs: list[int] = []
    for number in (1, 40):
        images = [image((number, each)) for each in range(number)]
        new = new_task(images=tuple(Input(image=each) for each in images))
        await database.write(create_task, new, images)
        await database.write(cancel_task, TENANT, new.task_id, NOW)
        statements: list[str] = []
        await database.write(trace(database, statements))
        statements.clear()
        assert await database.record(forget_tasks, State.CANCELLED, NOW + 31 * DAY, 5) == 1
        assert await database.read(get_image, TENANT, images[0].image_id) is None
        costs.append(len({each for each in statements if each.startswith("DELETE")}))  # triggers repeat it
    assert costs[0] == costs[1] > 1


# A disk that lied


def disk_error(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    "name", ["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_WRITE", "SQLITE_CORRUPT", "SQLITE_NOTADB"]
)
async def test_a_broken_disk_ends_it(database: SqliteDatabase, name: str) -> None:
    """F22, F23: the process is told once, and nobody is told that it was stored."""

    def unit(_: Connection) -> None:
        raise disk_error(name)

    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError):
            await database.write(unit)
    assert (await database.broken).sqlite_errorname == name  # type: ignore[attr-defined]


@pytest.mark.parametrize("read", ["look_up", "read"])
async def test_a_broken_disk_ends_it_also_where_sqlite_undid_the_read(
    database: SqliteDatabase, read: str
) -> None:
    """F22: what is there to be rolled back then would hide why."""

    def query(connection: Connection) -> None:
        driver(connection).execute("ROLLBACK")
        raise disk_error("SQLITE_IOERR_READ")

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        await getattr(database, read)(query)
    assert (await database.broken).sqlite_errorname == "SQLITE_IOERR_READ"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["SQLITE_CONSTRAINT_UNIQUE", "SQLITE_ERROR"])
async def test_other_errors_do_not(database: SqliteDatabase, name: str) -> None:
    def unit(_: Connection) -> None:
        raise disk_error(name)

    with pytest.raises(sqlite3.OperationalError):
        await database.write(unit)
    assert not database.broken.done()


async def test_a_failed_fsync_is_not_tried_again(database: SqliteDatabase) -> None:
    """F22: all of the group learn that it failed, their tasks are not there, and COMMIT ran once."""
    commits = 0

    def fail() -> None:
        nonlocal commits
        commits += 1
        raise disk_error("SQLITE_IOERR_FSYNC")

    with COMMITTING.heard_by(fail):
        futures = await ask(*(create(database) for _ in range(3)))
        answers = await asyncio.gather(*futures, return_exceptions=True)
    assert [getattr(answer, "sqlite_errorname", answer) for answer in answers] == ["SQLITE_IOERR_FSYNC"] * 3
    assert commits == 1
    assert database.broken.done()
    assert await database.read(count) == 0
    with pytest.raises(sqlite3.OperationalError):  # nor is anything stored after it
        await create(database)


async def corrupt_data(folder: Path) -> list[str]:
    """Spoil a page of a database with some tasks, of which it returns the ids."""
    async with open_sqlite(folder) as database:
        tasks = [await create(database, prompt="x" * 3000) for _ in range(50)]
        await database.look_over()
        assert not database.broken.done()
    with closing(sqlite3.connect(folder / "imageedit.sqlite3")) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'task_event'")
        page = found.fetchone()[0]
    with (folder / "imageedit.sqlite3").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    return [task.task_id for task in tasks]


async def test_a_corrupt_page_ends_it_also_when_a_reader_finds_it(tmp_path: Path) -> None:
    """F23: what was read cannot be trusted, so nothing is served from it any more."""
    task_ids = await corrupt_data(tmp_path)
    database = SqliteDatabase(tmp_path)
    await database.open()
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        await database.read(get_task, TENANT, task_ids[0])
    await asyncio.wait_for(database.broken, 90)
    await database.close()


async def test_a_corrupt_page_that_nobody_reads_is_looked_for(tmp_path: Path) -> None:
    """F23, PROMISES §7: at the start and every day."""
    await corrupt_data(tmp_path)
    async with open_sqlite(tmp_path) as database:
        await database.look_over()
        assert "damaged" in str(database.broken.result())


async def test_a_look_over_the_file_can_be_broken_off(database: SqliteDatabase) -> None:
    """Or the end of the server would wait for the whole of a large file."""
    looking, ended = threading.Event(), threading.Event()

    def for_ever(connection: sqlite3.Connection) -> None:
        connection.create_function("look", 0, looking.set)
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(look()) FROM n"
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(endless)
        ended.set()

    with sqlite_database.LOOKING.heard_by(for_ever):
        look = asyncio.ensure_future(database.look_over())
        assert await asyncio.to_thread(looking.wait, 90)
        look.cancel()
        assert await asyncio.to_thread(ended.wait, 90)
    assert not database.broken.done()


# Fences and indexes


async def test_of_two_decisions_from_one_reading_the_second_is_lost(database: SqliteDatabase) -> None:
    """P8: the UPDATE itself is conditional, on seq and token, and its row count is looked at."""
    claimed = await claimed_task(database)

    def twice(connection: Connection) -> None:
        row = row_by_id(connection, claimed.task.task_id)
        assert row is not None
        append_event(connection, row, lambda status, _: status, NOW)
        append_event(connection, row, finish, NOW)

    with pytest.raises(Refusal, match="more to store"):  # after trying it again
        await database.write(twice)
    assert await history(database, claimed.task.task_id) == [(1, "QUEUED"), (2, "RUNNING")]


@pytest.mark.parametrize("column", ["seq", "lease_token"])
async def test_an_update_touches_only_the_row_that_was_read(database: SqliteDatabase, column: str) -> None:
    claimed = await claimed_task(database)

    def stale(connection: Connection) -> None:
        row = row_by_id(connection, claimed.task.task_id)
        assert row is not None
        if column == "seq":
            append_event(connection, row, lambda status, _: status, NOW, {})
        else:
            update_row(connection, row, {"lease_token": row.lease_token + 1})
        update_row(connection, row, {"state": "QUEUED"})

    with pytest.raises(Refusal, match="more to store"):  # after trying it again
        await database.write(stale)
    assert await state_of(database, claimed.task.task_id) == ("RUNNING", 2)


async def test_no_statement_that_runs_often_walks_a_whole_table(database: SqliteDatabase) -> None:
    """Claims, lists and reads cost the same with a million finished tasks as with none."""
    statements: list[str] = []
    task = await create(database, user_id="u")
    await database.write(trace(database, statements))

    def all_of_it(connection: Connection) -> None:
        places = {"p": 5}
        claim(connection, now=NOW, lease_until=NOW + LEASE, free_by_provider=places, most=5)
        for user in ("", "u"):
            list_tasks(
                connection, TENANT, user_id=user, states=list(Status().state.__class__), before=9, most=3
            )
        get_task(connection, TENANT, task.task_id)

    await database.write(all_of_it)

    def plans(connection: Connection) -> list[str]:
        return [
            f"{row[3]} in {statement}"
            for statement in statements
            if statement.startswith(("SELECT", "UPDATE"))
            for row in driver(connection).execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    found = await database.read(plans)
    assert len(found) > 20
    walks = [plan for plan in found if plan.startswith("SCAN") and "task_running" not in plan]
    assert walks == []
    assert [plan for plan in found if plan.startswith("USE TEMP B-TREE")] == []


async def test_a_claim_costs_the_same_however_many_tasks_wait(database: SqliteDatabase) -> None:
    """F88: a flood makes nobody's claim slower. Counted in steps of SQLite's machine."""

    def flood(connection: Connection) -> None:
        for _ in range(500):
            create_task(connection, new_task(tenant="alice"))

    def steps(connection: Connection) -> int:
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        driver(connection).set_progress_handler(count, 10)
        places = {"p": 3}
        claim(connection, now=NOW, lease_until=NOW + LEASE, free_by_provider=places, most=3, turn="alice")
        driver(connection).set_progress_handler(None, 0)
        raise Counted(counted)

    await database.write(flood)
    for tenant in ("bob", "carol"):
        await create(database, tenant=tenant)
    costs = []
    for _ in range(3):
        with pytest.raises(Counted) as counted:
            await database.write(steps)
        costs.append(counted.value.args[0])
        for _ in range(4):
            await database.write(flood)
    assert costs[0] > 10
    assert max(costs) < 1.2 * costs[0]


class Counted(Exception):
    """Takes a figure out of a unit, and what the unit did back."""


def plans_of(connection: Connection, unit: Callable[[Connection], object]) -> list[str]:
    """Return what EXPLAIN QUERY PLAN says of every statement of a unit."""
    statements: list[str] = []
    driver(connection).set_trace_callback(statements.append)
    unit(connection)
    driver(connection).set_trace_callback(None)
    return [
        row[3]
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE", "DELETE"))
        for row in driver(connection).execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


def claim_something(connection: Connection) -> None:
    claim(connection, now=NOW, lease_until=NOW + LEASE, free_by_provider={"p": 5}, most=5)


async def test_the_queue_is_walked_along_its_index(database: SqliteDatabase) -> None:
    """What EXPLAIN QUERY PLAN says of the walk, and of the jumps to the providers that have a queue."""
    await create(database)
    plans = await database.write(plans_of, claim_something)
    assert "SEARCH task USING INDEX task_queue (provider>?)" in plans
    assert "SEARCH task USING INDEX task_queue (provider=? AND tenant>? AND tenant<?)" in plans


@pytest.mark.parametrize(
    ("unit", "indexes"),
    [
        (claim_something, {"task_queue", "task_running", "task_deadline", "task_waits"}),
        (backlog, {"task_queue", "task_running"}),
        (claims.open_providers, {"task_deadline"}),
        (oldest_running, {"task_running"}),
        (called_late, {"task_called_late"}),
        (lambda connection: forget_tasks(connection, State.FAILED, NOW, 5), {"task_ended"}),
        (lambda connection: forget_images(connection, NOW, None, 5), {"image_age"}),
        (lambda connection: listed(connection, ""), {"task_by_tenant"}),
        (lambda connection: listed(connection, "u"), {"task_by_user"}),
    ],
)
async def test_what_looks_for_tasks_walks_an_index(
    database: SqliteDatabase, unit: Callable[[Connection], object], indexes: set[str]
) -> None:
    """Partial ones only serve who asks in their words."""
    plans = await database.write(plans_of, unit)
    used = {name for plan in plans for name in re.findall(r"USING (?:COVERING )?INDEX (\w+)", plan)}
    assert indexes <= used
    assert [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan] == []


def listed(connection: Connection, user_id: str) -> None:
    list_tasks(connection, TENANT, user_id=user_id, states=[State.QUEUED], before=9, most=3)


async def test_what_a_change_leads_to_is_committed_with_it(database: SqliteDatabase, feed: LocalFeed) -> None:
    statements: list[str] = []
    following: list[asyncio.Future[int]] = []

    def follow(coming: Sequence[Change]) -> bool:
        if coming and not following:
            following.append(asyncio.ensure_future(database.record(count)))
            return True
        return False

    await database.record(trace(database, statements))
    statements.clear()
    feed.expect(follow)
    await create(database)
    assert await following[0] == 1
    assert statements.count("COMMIT") == 1
