"""Every ``Database``: a task's events have no gap, one end, and nothing after it (P9, P12, F33)."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DBAPIError

from imageedit_server.core import transitions
from imageedit_server.core.change import Change
from imageedit_server.core.task import TRANSITIONS, Stage, State, Status
from imageedit_server.feed.base import Feed
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task, change
from imageedit_server.store.log import LeaseLost
from imageedit_server.store.queries import events_after, find_task
from imageedit_server.store.tables import EVENT, TASK
from tests.store.making import (
    LATER,
    NOW,
    PLENTY,
    TENANT,
    claimed_task,
    create,
    finish,
    history,
    image,
    submitted,
)

STEPS = 30


async def advance(database: Database, steps: int = STEPS) -> str:
    """Run a task to its end over ``steps`` changes."""
    claimed = await claimed_task(database)
    for percent in range(1, steps + 1):
        await database.write(change, claimed.lease, partial(transitions.progress, percent=percent), NOW)
    await database.write(change, claimed.lease, finish, LATER, images=[image("result")])
    return claimed.task.task_id


async def test_events_are_numbered_without_a_gap(database: Database) -> None:
    ids = [await advance(database) for _ in range(2)]
    for task_id in ids:
        events = await history(database, task_id)
        assert [seq for seq, _ in events] == list(range(1, STEPS + 4))
        assert [State(state).terminal for _, state in events] == [False] * (STEPS + 2) + [True]


async def test_events_of_changes_that_race_have_no_gap_either(database: Database) -> None:
    """Decisions, a cancel and repeats of it all at once: one order, one end."""
    claimed = await claimed_task(database)
    answers = await asyncio.gather(
        *(
            database.write(change, claimed.lease, partial(transitions.progress, percent=percent), NOW)
            for percent in range(1, 20)
        ),
        *(database.write(cancel_task, TENANT, claimed.task.task_id, NOW) for _ in range(5)),
        *(database.write(change, claimed.lease, finish, LATER) for _ in range(5)),
        return_exceptions=True,
    )
    assert all(isinstance(answer, LeaseLost) or not isinstance(answer, BaseException) for answer in answers)
    events = await history(database, claimed.task.task_id)
    assert [seq for seq, _ in events] == list(range(1, len(events) + 1))
    assert [State(state).terminal for _, state in events].count(True) == 1
    assert State(events[-1][1]).terminal


async def test_the_task_is_as_its_last_event_says(database: Database) -> None:
    task_id = await advance(database)
    task = await database.read(find_task, task_id)
    events = await database.read(events_after, task_id, 0, PLENTY)
    assert events[-1].task == task
    assert (events[-1].seq, events[-1].time) == (task.seq, LATER)
    assert task.status.images == (image("result"),)


@pytest.mark.parametrize("after", [0, 1, STEPS, STEPS + 2, STEPS + 3, STEPS + 4])
async def test_the_log_is_read_from_anywhere(database: Database, after: int) -> None:
    """P9: resumed after ``k``, the first is k + 1."""
    task_id = await advance(database)
    await advance(database)
    events = await database.read(events_after, task_id, after, PLENTY)
    assert [event.seq for event in events] == list(range(after + 1, STEPS + 4))
    assert {event.task.task_id for event in events} <= {task_id}
    some = await database.read(events_after, task_id, after, 2)
    assert some == events[:2]


async def test_an_event_keeps_the_task_as_it_was(database: Database) -> None:
    """A later change, or a fact learnt later, does not reach back into what was sent already."""
    claimed, _ = await submitted(database)
    before = await database.read(events_after, claimed.task.task_id, 0, PLENTY)
    await database.write(change, claimed.lease, finish, LATER)
    after = await database.read(events_after, claimed.task.task_id, 0, PLENTY)
    assert after[: len(before)] == before


async def test_the_clock_may_step_back_but_not_the_seq(database: Database) -> None:
    """F33: ``time`` is what the wall clock said; the order is in ``seq``."""
    claimed = await claimed_task(database)
    hour = timedelta(hours=1)
    for moment in (NOW + hour, NOW - hour, NOW):
        await database.write(
            change, claimed.lease, lambda s, now: transitions.progress(s, now, s.progress_percent + 1), moment
        )
    events = await database.read(events_after, claimed.task.task_id, 2, PLENTY)
    assert [(event.seq, event.time) for event in events] == [(3, NOW + hour), (4, NOW - hour), (5, NOW)]


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_nothing_follows_the_end(database: Database, end: State) -> None:
    claimed = await claimed_task(database)
    ends: dict[State, transitions.Transition] = {
        State.SUCCEEDED: finish,
        State.FAILED: partial(transitions.fail, error=transitions.DEADLINE_EXCEEDED),
        State.CANCELLED: transitions.cancel,
    }
    await database.write(change, claimed.lease, ends[end], LATER)
    more: list[transitions.Transition] = [
        lambda s, _: s,
        transitions.give_back,
        partial(transitions.enter, stage=Stage.WAITING),
    ]
    for step in (*ends.values(), *more):
        with pytest.raises(LeaseLost):
            await database.write(change, claimed.lease, step, LATER)
    assert (await history(database, claimed.task.task_id))[-1] == (3, end.value)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
async def test_a_step_the_table_does_not_know_is_a_defect(database: Database, state: State) -> None:
    """Not a state that watchers see: the transaction is undone."""
    claimed = await claimed_task(database)
    if state is State.QUEUED:
        await database.write(change, claimed.lease, transitions.give_back, NOW)
    lease = claimed.lease
    for wrong in set(State) - TRANSITIONS[state]:

        def step(_: Status, __: datetime, wrong: State = wrong) -> Status:
            return Status(state=wrong)

        with pytest.raises(AssertionError):
            await database.write(change, lease, step, NOW)
    assert (await database.read(find_task, claimed.task.task_id)).status.state is state


FORGERIES = {
    "a gap": lambda number, seq: insert(EVENT).values(task=number, seq=seq + 2, time=0, status="{}"),
    "a repeat": lambda number, seq: insert(EVENT).values(task=number, seq=seq, time=0, status="{}"),
    "an event after the end": lambda number, seq: insert(EVENT).values(
        task=number, seq=seq + 1, time=0, status="{}"
    ),
    "another seq": lambda number, seq: update(TASK).where(TASK.c.number == number).values(seq=seq + 1),
    "another state": lambda number, seq: update(TASK).where(TASK.c.number == number).values(state="QUEUED"),
    "another end": lambda number, seq: update(TASK).where(TASK.c.number == number).values(state="SUCCEEDED"),
    "a rewritten event": lambda number, seq: (
        update(EVENT).where(EVENT.c.task == number, EVENT.c.seq == seq).values(status="{}")
    ),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_the_database_itself_refuses_a_false_history(database: Database, forge: object) -> None:
    """PROMISES §7: the last line behind every statement that is written wrongly."""
    await create(database)
    task = await create(database)
    await database.write(cancel_task, TENANT, task.task_id, NOW)
    before = await database.read(events_after, task.task_id, 0, PLENTY)
    with pytest.raises(DBAPIError):
        await database.write(lambda c: c.execute(forge(2, 2)))  # type: ignore[operator]
    assert await database.read(events_after, task.task_id, 0, PLENTY) == before
    assert (await database.read(find_task, task.task_id)).status.state is State.CANCELLED


async def test_a_task_with_events_cannot_be_dropped(database: Database) -> None:
    await create(database)
    with pytest.raises(DBAPIError):
        await database.write(lambda c: c.execute(delete(TASK)))


async def test_every_change_is_told_after_its_commit(database: Database, feed: Feed) -> None:
    """The feed only hints, but it hints at each event, in order, once it can be read."""
    heard: list[Change] = []
    feed.listen(heard.extend)
    claimed = await claimed_task(database)
    await database.write(change, claimed.lease, finish, LATER)
    task_id = claimed.task.task_id
    assert [(each.task_id, each.seq, each.state) for each in heard] == [
        (task_id, 1, State.QUEUED),
        (task_id, 2, State.RUNNING),
        (task_id, 3, State.SUCCEEDED),
    ]
    assert [each.event for each in heard] == await database.read(events_after, task_id, 0, 10)


async def test_what_was_undone_is_not_told(database: Database, feed: Feed) -> None:
    heard: list[Change] = []
    claimed = await claimed_task(database)
    feed.listen(heard.extend)

    def fails(connection: object) -> None:
        change(connection, claimed.lease, finish, LATER)  # type: ignore[arg-type]
        raise LeaseLost

    with pytest.raises(LeaseLost):
        await database.write(fails)
    assert heard == []
    assert await history(database, claimed.task.task_id) == [(1, "QUEUED"), (2, "RUNNING")]
