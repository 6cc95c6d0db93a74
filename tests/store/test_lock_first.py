"""Whoever decides about a task locks it first and then reads it: what the wait changed is seen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from imageedit_server.core import transitions
from imageedit_server.core.task import Outcome, State
from imageedit_server.store import decisions
from imageedit_server.store.attempts import (
    AttemptKey,
    Fact,
    add_late_images,
    begin_attempt,
    call_back,
    learn_and_change,
    learn_late,
)
from imageedit_server.store.claims import Lease, claim
from imageedit_server.store.creation import NewTask, create_task
from imageedit_server.store.database import RunAgain
from imageedit_server.store.decisions import cancel_task, change
from imageedit_server.store.dialect import DIALECT, dialect_of
from imageedit_server.store.log import LeaseLost
from imageedit_server.store.queries import find_task, row_by_id
from imageedit_server.store.quotas import Quota
from imageedit_server.store.retention import forget_tasks
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.sqlite.dialect import SqliteDialect
from imageedit_server.store.sqlite.file import driver
from tests.store.making import LATER, LEASE, NOW, TENANT, attempt, create, finish, image, new_task, submitted

progress = partial(transitions.progress, percent=5)
FACT = Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v")
Unit = Callable[[Connection], Any]


@dataclass
class WaitingDialect(SqliteDialect):
    """A dialect whose locks are told of, and at whose first one another unit was quicker."""

    connection: Connection
    quicker: Unit | None = None
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(driver(self.connection))
        self._driver.set_trace_callback(self.told.append)
        self.connection.info[DIALECT] = self

    def lock_task(self, task_id: str) -> None:
        self.told.append(f"lock {task_id}")
        quicker, self.quicker = self.quicker, None
        if quicker is not None:
            quicker(self.connection)

    def lock_usage(self, tenant: str) -> None:
        self.told.append(f"lock {tenant}")


def spoken(connection: Connection, unit: Unit) -> list[str]:
    """Return what a unit said, locks and statements in their order."""
    honest = dialect_of(connection)
    waiting = WaitingDialect(connection)
    try:
        unit(connection)
    finally:
        connection.info[DIALECT] = honest
        driver(connection).set_trace_callback(None)
    return waiting.told


def after_a_wait(connection: Connection, unit: Unit, quicker: Unit) -> Any:
    """Run ``unit``, which has to wait for a lock until ``quicker`` is through."""
    honest = dialect_of(connection)
    waiting = WaitingDialect(connection, quicker)
    try:
        return unit(connection)
    finally:
        assert waiting.quicker is None, "it asked for no lock"
        connection.info[DIALECT] = honest
        driver(connection).set_trace_callback(None)


@pytest.fixture
async def running(database: SqliteDatabase) -> tuple[Lease, AttemptKey]:
    """A task that is worked on, with one attempt, whose token is ``t``."""
    claimed, key = await submitted(database, token="t")
    return claimed.lease, key


def units_of(lease: Lease, key: AttemptKey) -> dict[str, Unit]:
    """Every unit that decides about a task that is known to it."""
    return {
        "change": lambda c: change(c, lease, progress, NOW),
        "cancel_task": lambda c: cancel_task(c, TENANT, lease.task_id, NOW),
        "begin_attempt": lambda c: begin_attempt(c, lease, attempt(2), "u", progress),
        "learn_and_change": lambda c: learn_and_change(c, lease, key, FACT, progress, NOW),
        "add_late_images": lambda c: add_late_images(c, key, (image(1),), NOW),
        "learn_late": lambda c: learn_late(c, key, FACT, (image(1),), NOW),
    }


@pytest.mark.parametrize("name", units_of(Lease("", 0), AttemptKey("", 0)))
async def test_a_decision_begins_with_the_lock(
    database: SqliteDatabase, running: tuple[Lease, AttemptKey], name: str
) -> None:
    told = await database.write(spoken, units_of(*running)[name])
    assert told[0] == f"lock {running[0].task_id}"
    assert len(told) > 2


async def test_what_looks_for_tasks_locks_them_before_it_reads_and_writes(database: SqliteDatabase) -> None:
    """Claims, callbacks and retention find a task first; all that they do with it comes after its lock."""
    queued = await create(database)
    claimed, _ = await submitted(database, token="t")  # claims both
    ended = await create(database)
    await database.write(cancel_task, TENANT, ended.task_id, NOW)
    later = partial(claim, now=NOW + LEASE, lease_until=NOW + 2 * LEASE, free_by_provider={"p": 9}, most=9)
    looking: list[tuple[Unit, set[str]]] = [
        (later, {queued.task_id, claimed.task.task_id}),
        (lambda c: call_back(c, "p", "t", "v", NOW), {claimed.task.task_id}),
        (lambda c: forget_tasks(c, State.CANCELLED, LATER, 5), {ended.task_id}),
    ]
    for unit, tasks in looking:
        told = await database.write(spoken, unit)
        written = next(n for n, each in enumerate(told) if each.startswith(("UPDATE", "DELETE", "INSERT")))
        locks = [n for n, each in enumerate(told) if each.startswith("lock")]
        assert {told[n].removeprefix("lock ") for n in locks} == tasks
        assert max(locks) < written
        assert any(each.startswith("SELECT") for each in told[max(locks) : written]), told


async def test_a_quota_is_counted_after_its_lock(database: SqliteDatabase) -> None:
    told = await database.write(
        spoken, lambda c: create_task(c, new_task(), [image(1)], Quota(queued_tasks=5, stored_bytes=10**6))
    )
    counted = [n for n, each in enumerate(told) if "FROM usage" in each]
    assert told.index(f"lock {TENANT}") < counted[0]


# What changed while it waited


async def test_a_cancel_waits_for_progress(
    database: SqliteDatabase, running: tuple[Lease, AttemptKey]
) -> None:
    units = units_of(*running)
    task = await database.write(after_a_wait, units["cancel_task"], units["change"])
    assert (task.status.state, task.seq, task.status.progress_percent) == (State.CANCELLED, 5, 5)


@pytest.mark.parametrize("name", ["change", "begin_attempt"])
async def test_progress_waits_for_a_cancel(
    database: SqliteDatabase, running: tuple[Lease, AttemptKey], name: str
) -> None:
    units = units_of(*running)
    with pytest.raises(LeaseLost):
        await database.write(after_a_wait, units[name], units["cancel_task"])


async def test_an_owner_waits_for_its_own_fact(
    database: SqliteDatabase, running: tuple[Lease, AttemptKey]
) -> None:
    """Two decisions under one lease: the second is made on what the first left, and nothing is lost."""
    units = units_of(*running)
    task = await database.write(after_a_wait, units["begin_attempt"], units["learn_and_change"])
    assert task.seq == 5
    assert [each.vendor_task_id for each in task.status.attempts] == ["v", ""]


async def test_a_fact_waits_for_a_cancel_and_is_kept(
    database: SqliteDatabase, running: tuple[Lease, AttemptKey]
) -> None:
    units = units_of(*running)
    assert await database.write(after_a_wait, units["learn_and_change"], units["cancel_task"]) is None
    task = await database.read(find_task, running[0].task_id)
    assert (task.status.state, task.status.attempts[0].vendor_task_id) == (State.CANCELLED, "v")


async def test_a_claim_waits_for_a_claim(database: SqliteDatabase) -> None:
    """What the other one took is left to it; there may be more, so the next look is at once."""
    await create(database)

    def claim_one(connection: Connection) -> Any:
        return claim(connection, now=NOW, lease_until=NOW + LEASE, free_by_provider={"p": 1}, most=1)

    second = await database.write(after_a_wait, claim_one, claim_one)
    assert (second.claimed, second.next_due) == ((), NOW)


async def test_an_end_by_the_deadline_waits_for_a_cancel(database: SqliteDatabase) -> None:
    task = await create(database, timeout=LATER - NOW)
    claims = await database.write(
        after_a_wait,
        lambda c: claim(c, now=LATER, lease_until=LATER + LEASE, free_by_provider={}, most=0),
        lambda c: cancel_task(c, TENANT, task.task_id, NOW),
    )
    assert claims.claimed == ()
    assert (await database.read(find_task, task.task_id)).status.state is State.CANCELLED


async def test_two_forget_one_task(database: SqliteDatabase) -> None:
    task = await create(database)
    await database.write(cancel_task, TENANT, task.task_id, NOW)

    def forget(connection: Connection) -> int:
        return forget_tasks(connection, State.CANCELLED, LATER, 5)

    assert await database.write(after_a_wait, forget, forget) == 1
    assert await database.read(row_by_id, task.task_id) is None


async def test_a_late_result_waits_until_its_task_is_forgotten(
    database: SqliteDatabase, running: tuple[Lease, AttemptKey]
) -> None:
    units = units_of(*running)
    await database.write(units["cancel_task"])
    await database.write(
        after_a_wait, units["add_late_images"], lambda c: forget_tasks(c, State.CANCELLED, LATER, 5)
    )
    assert await database.read(row_by_id, running[0].task_id) is None


@pytest.mark.parametrize("decided", ["change", "cancel_task"])
async def test_who_reads_before_it_locks_is_found_out(
    database: SqliteDatabase,
    running: tuple[Lease, AttemptKey],
    monkeypatch: pytest.MonkeyPatch,
    decided: str,
) -> None:
    """The naive order: it decides on what the other one has changed since, and may write nothing."""

    def read_then_lock(connection: Connection, task_id: str) -> Any:
        row = row_by_id(connection, task_id)
        dialect_of(connection).lock_task(task_id)
        return row

    monkeypatch.setattr(decisions, "locked_row", read_then_lock)
    units = units_of(*running)
    other = lambda c: change(c, running[0], finish, NOW)  # noqa: E731

    def naive(connection: Connection) -> None:
        with pytest.raises(RunAgain):
            after_a_wait(connection, units[decided], lambda c: _honest(monkeypatch, c, other))

    await database.write(naive)


def _honest(monkeypatch: pytest.MonkeyPatch, connection: Connection, unit: Unit) -> None:
    monkeypatch.undo()
    unit(connection)


async def test_a_request_id_that_was_taken_meanwhile_is_looked_for_again(database: SqliteDatabase) -> None:
    """P3, also where two creates do not see each other: the key decides, and the second run answers."""

    def blind(connection: Connection, new: NewTask, other: NewTask) -> None:
        other_task = create_task(connection, other)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("imageedit_server.store.creation.find_by_request_id", lambda *_: None)
            with pytest.raises(RunAgain):
                create_task(connection, new)
        assert create_task(connection, new) == other_task

    await database.write(blind, new_task(request_id="r"), new_task(request_id="r"))
