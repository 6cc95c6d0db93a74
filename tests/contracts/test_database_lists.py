"""Every ``Database``: lists are newest first, within the tenant, and stable while tasks are created."""

import asyncio
import threading
from functools import partial
from itertools import product

from sqlalchemy import Connection

from imageedit_server.core import transitions
from imageedit_server.core.task import State, Task
from imageedit_server.store.claims import Lease
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import change
from imageedit_server.store.queries import list_tasks
from tests.store.making import LATER, TENANT, claim_all, create, finish

ENDS: dict[State, transitions.Transition] = {
    State.SUCCEEDED: finish,
    State.FAILED: partial(transitions.fail, error=transitions.DEADLINE_EXCEEDED),
    State.CANCELLED: transitions.cancel,
}


async def bring_to(database: Database, lease: Lease, state: State) -> None:
    if state in ENDS:
        await database.write(change, lease, ENDS[state], LATER)
    elif state is State.QUEUED:
        await database.write(change, lease, transitions.give_back, LATER, not_before=LATER)


async def one_of_each(database: Database, tenant: str = TENANT) -> dict[str, tuple[str, State]]:
    """Make a task of every user and every state; return user and state of each."""
    made = {}
    for user, state in product(("", "u", "v"), State):
        task = await create(database, user_id=user, tenant=tenant)
        [claimed] = await claim_all(database)
        await bring_to(database, claimed.lease, state)
        made[task.task_id] = (user, state)
    return made


async def pages(database: Database, size: int, *, user_id: str = "", states: tuple[State, ...]) -> list[Task]:
    found: list[Task] = []
    before: int | None = None
    while True:
        page = await database.read(
            list_tasks, TENANT, user_id=user_id, states=states, before=before, most=size
        )
        if not page:
            return found
        assert len(page) <= size
        found += [task for _, task in page]
        before = page[-1][0]


async def test_pages_hold_what_the_filters_name(database: Database) -> None:
    made = await one_of_each(database)
    await create(database, tenant="other", user_id="u")
    filters = product(
        (1, 2, 7, 1000),
        ("", "u", "nobody"),
        (tuple(State), (State.FAILED,), (State.RUNNING, State.QUEUED), ()),
    )
    for size, user, states in filters:
        expected = [
            task_id
            for task_id, (owner, state) in reversed(made.items())
            if state in states and (not user or owner == user)
        ]
        found = await pages(database, size, user_id=user, states=states)
        assert [task.task_id for task in found] == expected, (size, user, states)


async def test_pages_are_stable_while_tasks_are_created(database: Database) -> None:
    """A task that is created between two pages is on neither, and shifts nothing."""
    old = [(await create(database)).task_id for _ in range(9)]
    seen: list[str] = []
    before: int | None = None
    for _ in range(3):
        page = await database.read(list_tasks, TENANT, user_id="", states=tuple(State), before=before, most=3)
        seen += [task.task_id for _, task in page]
        before = page[-1][0]
        await create(database)
        await create(database, tenant="other")
    assert seen == old[::-1]


async def test_a_task_that_moves_while_a_list_is_read_is_on_it_once(database: Database) -> None:
    """One list is one moment: a task that is claimed or given back meanwhile is neither lost nor doubled."""
    await create(database)
    [claimed] = await claim_all(database)
    waiting = await create(database)
    ids = {claimed.task.task_id, waiting.task_id}
    between, moved = threading.Event(), threading.Event()

    def slow(connection: Connection) -> list[str]:
        first = list_tasks(connection, TENANT, user_id="", states=[State.QUEUED], before=None, most=9)
        between.set()
        assert moved.wait(90)
        second = list_tasks(connection, TENANT, user_id="", states=[State.RUNNING], before=None, most=9)
        return [task.task_id for _, task in (*first, *second)]

    reading = asyncio.ensure_future(database.read(slow))
    await asyncio.to_thread(between.wait, 30)
    await claim_all(database)
    await database.write(change, claimed.lease, transitions.give_back, LATER)
    moved.set()
    found = await reading
    assert sorted(found) == sorted(ids)
