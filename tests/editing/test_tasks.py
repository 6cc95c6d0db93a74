"""Get, list, cancel and watch, each within its tenant (P9 to P12, P22, F65 to F69, F86)."""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.change import Change
from imageedit_server.core.errors import Code, Reason, Refusal
from imageedit_server.core.task import Event, Stage, State
from imageedit_server.editing import Heartbeat, Tasks, tasks
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.editing.tasks import MAX_PAGE
from imageedit_server.providers.base import Report, Running
from imageedit_server.store.claims import Lease
from imageedit_server.store.decisions import change
from imageedit_server.store.queries import events_after, get_task
from imageedit_server.store.retention import forget_tasks
from tests.engine.house import INPUT, TENANT, House, Vendor
from tests.store.making import claimed_task, create, finish, image

OTHER = "other"
UNKNOWN = f"task_{'0' * 32}"
STEPS = 12


@pytest.fixture
async def idle(tmp_path: Path, vendor: Vendor) -> AsyncIterator[House]:
    """A house whose engine does not run: tests move tasks themselves."""
    house = House(tmp_path, vendor)
    await house.start(serve=False)
    house.serving = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    yield house
    await house.stop()


async def step(house: House, lease: Lease, percent: int) -> None:
    await house.database.write(change, lease, lambda s: transitions.progress(s, percent), house.clock.now())


async def end(house: House, lease: Lease) -> None:
    await house.database.write(change, lease, finish, house.clock.now())


async def finished(house: House, steps: int = STEPS) -> str:
    """Make a task of ``steps`` + 3 events that has ended."""
    claimed = await claimed_task(house.database)
    for percent in range(1, steps + 1):
        await step(house, claimed.lease, percent)
    await end(house, claimed.lease)
    return claimed.task.task_id


def seqs(items: list[Event | Heartbeat]) -> list[int]:
    return [item.seq for item in items if isinstance(item, Event)]


async def all_of(watch: AsyncGenerator[Event | Heartbeat, None]) -> list[Event | Heartbeat]:
    return [item async for item in watch]


# Watching


async def test_every_resumption_gets_exactly_the_rest(idle: House) -> None:
    """P9, F65: resumed after k, exactly k + 1 to n, then the end; after n the end at once."""
    task_id = await finished(idle)
    last = STEPS + 3
    for after in range(last + 1):
        items = await all_of(idle.tasks.watch(TENANT, task_id, after))
        assert seqs(items) == list(range(after + 1, last + 1))
        assert len(items) == last - after


@pytest.mark.parametrize("after", [-1, STEPS + 4, 2**63 - 1, -(2**63)])
async def test_out_of_range_is_said_at_once(idle: House, after: int) -> None:
    """P11, F66: never a silent jump, never old events for a future seq."""
    task_id = await finished(idle)
    running = await claimed_task(idle.database)
    for watched in (task_id, running.task.task_id):
        with pytest.raises(Refusal) as refused:
            await all_of(idle.tasks.watch(TENANT, watched, after))
        assert refused.value.reason is Reason.SEQ_OUT_OF_RANGE
        assert refused.value.reason.code is Code.OUT_OF_RANGE


async def test_a_watch_follows_to_the_end(idle: House) -> None:
    """P12: it ends exactly after the terminal event."""
    claimed = await claimed_task(idle.database)
    watching = asyncio.create_task(all_of(idle.tasks.watch(TENANT, claimed.task.task_id, 0)))
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
            (after, asyncio.create_task(all_of(idle.tasks.watch(TENANT, claimed.task.task_id, after))))
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
    async with aclosing(idle.tasks.watch(TENANT, task_id, 0)) as first:
        assert (await anext(first)).seq == 1
        looks = note_looks(idle)
        watches = [idle.tasks.watch(TENANT, task_id, after) for after in (0, 1, 2) * 10]
        assert [(await anext(watch)).seq for watch in watches[:2]] == [1, 2]
        for percent in range(1, STEPS + 1):
            await step(idle, claimed.lease, percent)
        await end(idle, claimed.lease)
        with pytest.raises(Refusal) as refused:
            await anext(idle.tasks.watch(OTHER, task_id, 0))
        assert refused.value.reason is Reason.TASK_NOT_FOUND
        assert looks == [get_task]
        last = STEPS + 3
        for watch, after in zip((*watches, first), (1, 2, 2, *(0, 1, 2) * 9, 1), strict=True):
            assert seqs(await all_of(watch)) == list(range(after + 1, last + 1))
        assert looks == [get_task]


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
    items = await all_of(idle.tasks.watch(TENANT, claimed.task.task_id, 2))
    assert seqs(items) == [3]
    assert items == [item for item in items if isinstance(item, Event)]
    assert idle.clock.now() == started


async def test_the_log_is_the_truth_where_the_hint_is_lost(idle: House) -> None:
    """P10: a notification that never comes costs a heartbeat's time, not the event."""
    claimed = await claimed_task(idle.database)
    watch = idle.tasks.watch(TENANT, claimed.task.task_id, 2)
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
    watching = asyncio.create_task(all_of(idle.tasks.watch(TENANT, task_id, 0)))
    await idle.clock.sleep(1)
    await end(idle, claimed.lease)
    assert seqs(await watching) == [1, 2, 3]
    assert (idle.clock.now() - started).total_seconds() == 1


async def test_silence_is_broken_every_fifteen_seconds(idle: House) -> None:
    """P9: a heartbeat says up to where everything was sent."""
    claimed = await claimed_task(idle.database)
    started = idle.clock.now()
    async with aclosing(idle.tasks.watch(TENANT, claimed.task.task_id, 0)) as watch:
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
    watching = asyncio.create_task(all_of(idle.tasks.watch(TENANT, claimed.task.task_id, 2)))
    await idle.clock.sleep(40)
    await end(idle, claimed.lease)
    items = await watching
    assert [type(item) for item in items] == [Heartbeat, Heartbeat, Event]


async def test_a_long_log_is_read_in_pieces(idle: House) -> None:
    """One after the other, without a wait: a piece is not taken for the end."""
    task_id = await finished(idle, steps=99)
    claimed = await claimed_task(idle.database)
    for number in range(250):
        warn = partial(transitions.warn, warnings=(str(number % 99),))
        await idle.database.record(change, claimed.lease, warn, idle.clock.now())
    await end(idle, claimed.lease)
    for watched, last in ((task_id, 102), (claimed.task.task_id, 253)):
        items = await all_of(idle.tasks.watch(TENANT, watched, 0))
        assert [item.seq for item in items] == list(range(1, last + 1))  # and no heartbeat between


async def test_draining_ends_watches_that_go_on(idle: House) -> None:
    """P24: what is there is handed out first, then the caller is told to resume; a finished task ends."""
    claimed = await claimed_task(idle.database)
    done = await finished(idle)
    watching = asyncio.create_task(all_of(idle.tasks.watch(TENANT, claimed.task.task_id, 0)))
    await idle.clock.sleep(5)
    idle.draining.begin()
    with pytest.raises(Refusal) as refused:
        await watching
    assert (refused.value.reason, refused.value.reason.code) == (Reason.DRAINING, Code.UNAVAILABLE)
    assert refused.value.retry_after_seconds
    assert seqs(await all_of(idle.tasks.watch(TENANT, done, 0))) == list(range(1, STEPS + 4))
    async with aclosing(idle.tasks.watch(TENANT, claimed.task.task_id, 0)) as late:
        assert [(await anext(late)).seq for _ in range(2)] == [1, 2]
        with pytest.raises(Refusal):
            await anext(late)


async def test_a_watch_that_is_left_leaves_nothing(idle: House) -> None:
    """F69: broken off anywhere, no follower stays behind."""
    task_id = await finished(idle)
    running = await claimed_task(idle.database)
    for watched, most in ((task_id, 1), (running.task.task_id, 2), (running.task.task_id, 3)):
        async with aclosing(idle.tasks.watch(TENANT, watched, 0)) as watch:
            for _ in range(most):
                await anext(watch)
    blocked = asyncio.create_task(all_of(idle.tasks.watch(TENANT, running.task.task_id, 2)))
    await idle.clock.sleep(1)
    blocked.cancel()
    await asyncio.gather(blocked, return_exceptions=True)
    with pytest.raises(Refusal):
        await all_of(idle.tasks.watch(TENANT, UNKNOWN, 0))
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
    async with aclosing(idle.tasks.watch(TENANT, claimed.task.task_id, 2)) as watch:
        async with asyncio.timeout(40):
            assert isinstance(await anext(watch), Heartbeat)
    calling.cancel()


async def test_a_watch_sees_a_real_task_from_start_to_end(house: House) -> None:
    task_id = await house.create()
    items = await all_of(house.tasks.watch(TENANT, task_id, 0))
    assert [item for item in items if isinstance(item, Event)] == await house.events(task_id)


async def test_a_watch_of_a_task_that_is_forgotten_meanwhile_ends(
    idle: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11: between two looks at the store retention may come; what is then missing is not just silent."""
    monkeypatch.setattr(tasks, "EVENTS_PER_READ", 1)
    task_id = await finished(idle)
    watch = idle.tasks.watch(TENANT, task_id, 0)
    assert seqs([await anext(watch)]) == [1]
    later = idle.clock.now() + timedelta(days=100)
    assert await idle.database.record(forget_tasks, State.SUCCEEDED, later, 1) == 1
    with pytest.raises(Refusal) as refused:
        await anext(watch)
    assert refused.value.reason is Reason.TASK_NOT_FOUND


# Lists


async def test_pages_follow_one_another(idle: House) -> None:
    ids = [(await create(idle.database)).task_id for _ in range(7)]
    seen, token = [], ""
    for size in (3, 3, 1):
        page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=3, page_token=token)
        assert len(page.tasks) == size
        seen += [task.task_id for task in page.tasks]
        token = page.next_token
        await create(idle.database)
    assert token == ""
    assert seen == ids[::-1]


async def test_a_page_that_is_just_full_is_the_last(idle: House) -> None:
    for _ in range(3):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=3, page_token="")
    assert (len(page.tasks), page.next_token) == (3, "")


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (51, 51), (2**31 - 1, 51)])
async def test_page_sizes(idle: House, asked: int, given: int) -> None:
    assert MAX_PAGE == 1000
    for _ in range(51):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=asked, page_token="")
    assert len(page.tasks) == given


BAD_TOKENS = [
    "x",
    "MQ",
    "MQ==x",
    "MQ== ",
    "LTE=",
    "MA==",
    "MDE=",
    "IDE=",
    "OTk5OTk5OTk5OTk5OTk5OTk5OTk=",
    "４",
    "\0",
    "MS4w",
    "77yR",
]


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_a_token_that_is_none_is_refused(idle: House, token: str) -> None:
    with pytest.raises(Refusal) as refused:
        await idle.tasks.list(TENANT, user_id="", states=(), page_size=0, page_token=token)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.value.violations] == ["page_token"]


async def test_a_token_tells_nothing(idle: House) -> None:
    """P22: what stands behind it counts the tasks of all tenants; equal lists of others have other tokens."""
    tokens = set()
    for tenant in (TENANT, OTHER):
        for _ in range(3):
            await create(idle.database, tenant=tenant)
        page = await idle.tasks.list(tenant, user_id="", states=(), page_size=2, page_token="")
        tokens.add(page.next_token)
        sealed = base64.urlsafe_b64decode(page.next_token)
        assert not any(number.to_bytes(4, "big") in sealed for number in range(10))
        assert not re.search(rb"[0-9]{3}", sealed)
    assert len(tokens) == 2


@pytest.mark.parametrize(
    ("user_id", "states", "good"),
    [
        ("u", (State.QUEUED, State.RUNNING), True),
        ("u", (State.RUNNING, State.QUEUED, State.QUEUED), True),
        ("", (State.QUEUED, State.RUNNING), False),
        ("u", (State.QUEUED,), False),
        ("u", (), False),
    ],
)
async def test_a_token_is_of_use_for_its_list_alone(
    idle: House, user_id: str, states: tuple[State, ...], good: bool
) -> None:
    """With the filters that it was given for, in any order, and with any page size."""
    for _ in range(3):
        await create(idle.database, user_id="u")
    asked = {"user_id": "u", "states": (State.QUEUED, State.RUNNING), "page_token": ""}
    token = (await idle.tasks.list(TENANT, page_size=1, **asked)).next_token  # type: ignore[arg-type]
    next_page = idle.tasks.list(TENANT, user_id=user_id, states=states, page_size=2, page_token=token)
    if good:
        assert len((await next_page).tasks) == 2
    else:
        with pytest.raises(Refusal) as refused:
            await next_page
        assert [violation.field for violation in refused.value.violations] == ["page_token"]


@pytest.mark.parametrize("change", ["first bit", "last bit", "shorter", "longer", "other key"])
async def test_a_token_that_was_tampered_with_is_refused(idle: House, change: str) -> None:
    """Whoever does not have the key can make none, nor turn one into another."""
    for _ in range(3):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=1, page_token="")
    sealed = bytearray(base64.urlsafe_b64decode(page.next_token))
    if change == "first bit":
        sealed[0] ^= 0x80
    elif change == "last bit":
        sealed[-1] ^= 1
    elif change == "shorter":
        del sealed[-1]
    elif change == "longer":
        sealed += b"\0"
    else:
        idle.tasks._tokens = PageTokens(b"another")
    token = base64.urlsafe_b64encode(sealed).decode()
    with pytest.raises(Refusal):
        await idle.tasks.list(TENANT, user_id="", states=(), page_size=1, page_token=token)


async def test_a_negative_page_size_is_refused(idle: House) -> None:
    with pytest.raises(Refusal) as refused:
        await idle.tasks.list(TENANT, user_id="", states=(), page_size=-1, page_token="")
    assert [violation.field for violation in refused.value.violations] == ["page_size"]


async def test_filters(idle: House) -> None:
    mine = await create(idle.database, user_id="u")
    await create(idle.database, user_id="v")
    done = await finished(idle)

    async def listed(user_id: str = "", states: tuple[State, ...] = ()) -> list[str]:
        page = await idle.tasks.list(TENANT, user_id=user_id, states=states, page_size=0, page_token="")
        return [task.task_id for task in page.tasks]

    assert await listed(user_id="u") == [mine.task_id]
    assert await listed(states=(State.SUCCEEDED, State.SUCCEEDED)) == [done]
    assert await listed(states=(State.CANCELLED,)) == []
    assert await listed(user_id="u", states=(State.SUCCEEDED,)) == []


# Tenants


async def test_what_is_anothers_looks_missing(idle: House) -> None:
    """P22, F86: every call on every kind of id, equal to the byte; nothing of it is in another's lists."""
    task_id = await finished(idle)
    running = (await claimed_task(idle.database)).task.task_id
    picture = image("result")

    async def answers(tenant: str, task: str, image_id: str) -> list[tuple[object, ...]]:
        calls = [
            idle.tasks.get(tenant, task),
            idle.tasks.cancel(tenant, task),
            all_of(idle.tasks.watch(tenant, task, 0)),
            all_of(idle.tasks.watch(tenant, task, 99)),
            idle.pictures.find(tenant, image_id),
        ]
        found: list[tuple[object, ...]] = []
        for call in calls:
            with pytest.raises(Refusal) as refused:
                await call
            error = refused.value
            found.append((error.reason, error.message, error.violations, error.retry_after_seconds))
        return found

    missing = await answers(OTHER, UNKNOWN, f"sha256:{'0' * 64}")
    assert await answers(OTHER, task_id, picture.image_id) == missing
    assert await answers(OTHER, running, picture.image_id) == missing
    for malformed in (
        "",
        "task_",
        task_id.upper(),
        f"{task_id}\n",
        f" {task_id}",
        "x" * 10**6,
        "task_\0",
        "％",
    ):
        assert await answers(TENANT, malformed, malformed) == missing
    page = await idle.tasks.list(OTHER, user_id="", states=(), page_size=0, page_token="")
    assert page.tasks == ()
    assert (await idle.get(running)).status.state is State.RUNNING


async def test_a_token_of_anothers_list_is_answered_like_none(idle: House) -> None:
    for _ in range(3):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=1, page_token="")
    told = set()
    for token in (page.next_token, "x"):
        with pytest.raises(Refusal) as refused:
            await idle.tasks.list(OTHER, user_id="", states=(), page_size=9, page_token=token)
        told.add((refused.value.reason, refused.value.message))
    assert len(told) == 1


# Cancel


async def test_cancel_is_idempotent_and_answers_what_is_stored(house: House, vendor: Vendor) -> None:
    async def never(vendor_task_id: str, report: Report) -> Running:
        return Running()

    vendor.poll = never
    task_id = await house.create()
    await house.reached(task_id, Stage.WAITING)
    answers = await asyncio.gather(*(house.tasks.cancel(TENANT, task_id) for _ in range(10)))
    assert answers == [await house.get(task_id)] * 10
    assert isinstance(house.tasks, Tasks)


# Pictures


async def test_an_upload_is_the_tenants_and_read_from_any_offset(idle: House) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(INPUT), 10):
            yield INPUT[start : start + 10]

    stored = await idle.pictures.upload(TENANT, chunks(), expected_sha256="")
    assert await idle.pictures.find(TENANT, stored.image_id) == stored
    for offset in (0, 1, len(INPUT) - 1, len(INPUT)):
        found = b"".join([chunk async for chunk in idle.pictures.read(stored, offset)])
        assert found == INPUT[offset:]
    for offset in (-1, len(INPUT) + 1, 2**63 - 1):
        with pytest.raises(Refusal) as refused:
            idle.pictures.read(stored, offset)
        assert refused.value.reason is Reason.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize("content", [b"", b"text"])
async def test_a_refused_upload_gives_no_right_to_anything(idle: House, content: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    with pytest.raises(Refusal) as refused:
        await idle.pictures.upload(TENANT, chunks(), expected_sha256="")
    assert refused.value.reason is Reason.IMAGE_UNDECODABLE
