"""Watching: every event once, in order, from any seq on (P9 to P12)."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.change import Change
from imageedit_server.core.errors import Code, Reason, Refusal
from imageedit_server.core.task import Event, State, Status
from imageedit_server.editing import Heartbeat
from imageedit_server.editing import watching as watching_module
from imageedit_server.store.decisions import change
from imageedit_server.store.queries import events_after, get_task
from imageedit_server.store.retention import forget_tasks
from tests.editing.moving import OTHER, STEPS, UNKNOWN, all_of, end, finished, seqs, step
from tests.engine.house import TENANT, House
from tests.store.making import claimed_task


def _warn(status: Status, _: datetime, warning: str) -> Status:
    return transitions.warn(status, (warning,))


async def test_every_resumption_gets_exactly_the_rest(idle: House) -> None:
    """P9, F65: resumed after k, exactly k + 1 to n, then the end; after n the end at once."""
    task_id = await finished(idle)
    last = STEPS + 3
    for after in range(last + 1):
        items = await all_of(idle.watching.watch(TENANT, task_id, after))
        assert seqs(items) == list(range(after + 1, last + 1))
        assert len(items) == last - after


@pytest.mark.parametrize("after", [-1, STEPS + 4, 2**63 - 1, -(2**63)])
async def test_out_of_range_is_said_at_once(idle: House, after: int) -> None:
    """P11, F66: never a silent jump, never old events for a future seq."""
    task_id = await finished(idle)
    running = await claimed_task(idle.database)
    for watched in (task_id, running.task.task_id):
        with pytest.raises(Refusal) as refused:
            await all_of(idle.watching.watch(TENANT, watched, after))
        assert refused.value.reason is Reason.SEQ_OUT_OF_RANGE
        assert refused.value.reason.code is Code.OUT_OF_RANGE


async def test_a_watch_follows_to_the_end(idle: House) -> None:
    """P12: it ends exactly after the terminal event."""
    claimed = await claimed_task(idle.database)
    watching = asyncio.create_task(all_of(idle.watching.watch(TENANT, claimed.task.task_id, 0)))
    for percent in range(1, STEPS + 1):
        await step(idle, claimed.lease, percent)
    assert not watching.done()
    await end(idle, claimed.lease)
    items = await watching
    assert seqs(items) == list(range(1, STEPS + 4))
    assert isinstance(items[-1], Event)
    assert items[-1].task.status.state is State.SUCCEEDED


async def test_many_watchers_see_the_same(idle: House) -> None:
    """F67: whenever they come, each sees every event after its start once."""
    claimed = await claimed_task(idle.database)
    watches = []
    for percent in range(1, STEPS + 1):
        watches += [
            (after, asyncio.create_task(all_of(idle.watching.watch(TENANT, claimed.task.task_id, after))))
            for after in (0, percent)
        ]
        await step(idle, claimed.lease, percent)
    await end(idle, claimed.lease)
    log = await idle.database.read(events_after, claimed.task.task_id, 0, 1000)
    for after, watching in watches:
        assert [item for item in await watching if isinstance(item, Event)] == log[after:]


async def test_a_crowd_reads_the_log_once(idle: House) -> None:
    """Who comes later, resumes, or falls behind has it from the others; a stranger still has nothing."""
    claimed = await claimed_task(idle.database)
    task_id = claimed.task.task_id
    async with aclosing(idle.watching.watch(TENANT, task_id, 0)) as first:
        assert (await anext(first)).seq == 1
        looks = note_looks(idle)
        watches = [idle.watching.watch(TENANT, task_id, after) for after in (0, 1, 2) * 10]
        assert [(await anext(watch)).seq for watch in watches[:2]] == [1, 2]
        for percent in range(1, STEPS + 1):
            await step(idle, claimed.lease, percent)
        await end(idle, claimed.lease)
        with pytest.raises(Refusal) as refused:
            await anext(idle.watching.watch(OTHER, task_id, 0))
        assert refused.value.reason is Reason.TASK_NOT_FOUND
        assert looks == [get_task]
        last = STEPS + 3
        for watch, after in zip((*watches, first), (1, 2, 2, *(0, 1, 2) * 9, 1), strict=True):
            assert seqs(await all_of(watch)) == list(range(after + 1, last + 1))
        assert looks == [get_task]


async def test_of_a_task_that_ended_each_event_is_built_once(idle: House) -> None:
    """However many watch it, one after the other; what was built is told of no task that is gone."""
    task_id = await finished(idle, watching_module.EVENTS_PER_READ)
    log = await all_of(idle.watching.watch(TENANT, task_id, 0))
    for after in (0, 1, 30):
        again = await all_of(idle.watching.watch(TENANT, task_id, after))
        assert list(map(id, again)) == list(map(id, log[after:]))
    with pytest.raises(Refusal):
        await all_of(idle.watching.watch(OTHER, task_id, 0))
    later = idle.clock.now() + timedelta(days=100)
    assert await idle.database.record(forget_tasks, State.SUCCEEDED, later, 1) == 1
    with pytest.raises(Refusal) as refused:
        await all_of(idle.watching.watch(TENANT, task_id, 0))
    assert refused.value.reason is Reason.TASK_NOT_FOUND


def note_looks(house: House) -> list[Any]:
    """Return the list to which each query is added from now on."""
    look_up, looks = house.database.look_up, []

    async def noted(query: Any, /, *args: Any, **kwargs: Any) -> Any:
        looks.append(query)
        return await look_up(query, *args, **kwargs)

    house.database.look_up = noted  # type: ignore[method-assign]
    return looks


async def test_an_event_between_reading_and_following_is_not_missed(idle: House) -> None:
    """It subscribes before it reads: what is committed right after the read wakes it, in no time."""
    claimed = await claimed_task(idle.database)
    database = idle.database
    look_up = database.look_up

    async def look_and_then(query: Any, /, *args: Any, **kwargs: Any) -> Any:
        answer = await look_up(query, *args, **kwargs)
        if query is events_after:
            database.look_up = look_up  # type: ignore[method-assign]
            await end(idle, claimed.lease)  # committed and told before the watch begins to wait
        return answer

    database.look_up = look_and_then  # type: ignore[method-assign]
    started = idle.clock.now()
    items = await all_of(idle.watching.watch(TENANT, claimed.task.task_id, 2))
    assert seqs(items) == [3]
    assert items == [item for item in items if isinstance(item, Event)]
    assert idle.clock.now() == started


async def test_the_log_is_the_truth_where_the_hint_is_lost(idle: House) -> None:
    """P10: a notification that never comes costs a heartbeat's time, not the event."""
    claimed = await claimed_task(idle.database)
    watch = idle.watching.watch(TENANT, claimed.task.task_id, 2)
    idle.feed.publish = lambda changes: None  # type: ignore[method-assign]
    watching = asyncio.create_task(all_of(watch))
    await end(idle, claimed.lease)
    assert seqs(await watching) == [3]


async def test_a_hint_without_its_event_is_followed_at_once(idle: House) -> None:
    """P10: what another process tells has no event with it; the log has."""
    claimed = await claimed_task(idle.database)
    task_id, publish = claimed.task.task_id, idle.feed.publish

    def without_events(changes: Sequence[Change]) -> None:
        publish([replace(change, event=None) for change in changes])

    idle.feed.publish = without_events  # type: ignore[method-assign]
    started = idle.clock.now()
    watching = asyncio.create_task(all_of(idle.watching.watch(TENANT, task_id, 0)))
    await idle.clock.sleep(1)
    await end(idle, claimed.lease)
    assert seqs(await watching) == [1, 2, 3]
    assert (idle.clock.now() - started).total_seconds() == 1


async def test_silence_is_broken_every_fifteen_seconds(idle: House) -> None:
    """P9: a heartbeat says up to where everything was sent."""
    claimed = await claimed_task(idle.database)
    started = idle.clock.now()
    async with aclosing(idle.watching.watch(TENANT, claimed.task.task_id, 0)) as watch:
        items = [await anext(watch) for _ in range(5)]
        assert [type(item) for item in items] == [Event, Event, Heartbeat, Heartbeat, Heartbeat]
        assert [item.seq for item in items] == [1, 2, 2, 2, 2]
        assert (idle.clock.now() - started).total_seconds() == 45
        await step(idle, claimed.lease, 5)
        assert (await anext(watch)).seq == 3
        heartbeat = await anext(watch)
        assert isinstance(heartbeat, Heartbeat)
        assert heartbeat.seq == 3


async def test_a_watch_that_starts_at_the_last_event_waits_for_the_next(idle: House) -> None:
    claimed = await claimed_task(idle.database)
    watching = asyncio.create_task(all_of(idle.watching.watch(TENANT, claimed.task.task_id, 2)))
    await idle.clock.sleep(40)
    await end(idle, claimed.lease)
    items = await watching
    assert [type(item) for item in items] == [Heartbeat, Heartbeat, Event]


async def test_a_long_log_is_read_in_pieces(idle: House) -> None:
    """One after the other, without a wait: a piece is not taken for the end."""
    task_id = await finished(idle, steps=99)
    claimed = await claimed_task(idle.database)
    for number in range(250):
        warn = partial(_warn, warning=str(number % 99))
        await idle.database.record(change, claimed.lease, warn, idle.clock.now())
    await end(idle, claimed.lease)
    for watched, last in ((task_id, 102), (claimed.task.task_id, 253)):
        items = await all_of(idle.watching.watch(TENANT, watched, 0))
        assert [item.seq for item in items] == list(range(1, last + 1))  # and no heartbeat between


async def test_draining_ends_watches_that_go_on(idle: House) -> None:
    """P24: what is there is handed out first, then the caller is told to resume; a finished task ends."""
    claimed = await claimed_task(idle.database)
    done = await finished(idle)
    watching = asyncio.create_task(all_of(idle.watching.watch(TENANT, claimed.task.task_id, 0)))
    await idle.clock.sleep(5)
    idle.draining.begin()
    with pytest.raises(Refusal) as refused:
        await watching
    assert (refused.value.reason, refused.value.reason.code) == (Reason.DRAINING, Code.UNAVAILABLE)
    assert refused.value.retry_after_seconds
    assert seqs(await all_of(idle.watching.watch(TENANT, done, 0))) == list(range(1, STEPS + 4))
    async with aclosing(idle.watching.watch(TENANT, claimed.task.task_id, 0)) as late:
        assert [(await anext(late)).seq for _ in range(2)] == [1, 2]
        with pytest.raises(Refusal):
            await anext(late)


async def test_a_watch_that_is_left_leaves_nothing(idle: House) -> None:
    """F69: broken off anywhere, no follower stays behind."""
    task_id = await finished(idle)
    running = await claimed_task(idle.database)
    for watched, most in ((task_id, 1), (running.task.task_id, 2), (running.task.task_id, 3)):
        async with aclosing(idle.watching.watch(TENANT, watched, 0)) as watch:
            for _ in range(most):
                await anext(watch)
    blocked = asyncio.create_task(all_of(idle.watching.watch(TENANT, running.task.task_id, 2)))
    await idle.clock.sleep(1)
    blocked.cancel()
    await asyncio.gather(blocked, return_exceptions=True)
    with pytest.raises(Refusal):
        await all_of(idle.watching.watch(TENANT, UNKNOWN, 0))
    assert not idle.feed.is_followed


async def test_callbacks_do_not_silence_a_watch(idle: House) -> None:
    """P10: a hint without an event behind it does not put the heartbeat off for ever."""
    claimed = await claimed_task(idle.database)

    async def call_back_for_ever() -> None:
        while True:
            await idle.clock.sleep(10)
            task = claimed.task
            idle.feed.publish([Change(task.task_id, 2, task.status.state, called_back=True)])

    calling = asyncio.create_task(call_back_for_ever())
    async with aclosing(idle.watching.watch(TENANT, claimed.task.task_id, 2)) as watch:
        async with asyncio.timeout(40):
            assert isinstance(await anext(watch), Heartbeat)
    calling.cancel()


async def test_a_watch_sees_a_real_task_from_start_to_end(house: House) -> None:
    task_id = await house.create()
    items = await all_of(house.watching.watch(TENANT, task_id, 0))
    assert [item for item in items if isinstance(item, Event)] == await house.events(task_id)


async def test_a_watch_of_a_task_that_is_forgotten_meanwhile_ends(
    idle: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11: between two looks at the store retention may come; what is then missing is not just silent."""
    monkeypatch.setattr(watching_module, "EVENTS_PER_READ", 1)
    task_id = await finished(idle)
    watch = idle.watching.watch(TENANT, task_id, 0)
    assert seqs([await anext(watch)]) == [1]
    later = idle.clock.now() + timedelta(days=100)
    assert await idle.database.record(forget_tasks, State.SUCCEEDED, later, 1) == 1
    with pytest.raises(Refusal) as refused:
        await anext(watch)
    assert refused.value.reason is Reason.TASK_NOT_FOUND
