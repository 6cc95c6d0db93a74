"""Every ``Database``: what is forgotten is forgotten whole, and nothing else is touched."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select

from imageedit_server.core.image import Image
from imageedit_server.core.request import Input
from imageedit_server.core.task import Outcome, State
from imageedit_server.store.attempts import AttemptKey, Fact, add_late_images, begin_attempt, learn
from imageedit_server.store.creation import add_images, create_task
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task, change
from imageedit_server.store.queries import get_image, get_task
from imageedit_server.store.retention import ImageAge, forget_images, forget_tasks
from imageedit_server.store.tables import DATA_DIR, ERASED_IMAGE, METADATA, USAGE
from tests.store.making import LATER, NOW, TENANT, attempt, claim_all, create, finish, image, new_task

MUCH_LATER = LATER + timedelta(days=31)
PLENTY = 1000
NOBODYS = (USAGE, ERASED_IMAGE, DATA_DIR)
"""Tables that a task is not in."""


def sizes(connection: Connection) -> dict[str, int]:
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in METADATA.sorted_tables
        if table not in NOBODYS
    }


async def forget(database: Database, state: State = State.SUCCEEDED, most: int = PLENTY) -> int:
    return await database.record(forget_tasks, state, MUCH_LATER, most)


async def finished(database: Database, inputs: Sequence[Image] = (), request_id: str = "") -> str:
    """A task that ended, with inputs, an attempt, the output ``result`` and the late image ``late``."""
    new = new_task(images=tuple(Input(image=each) for each in inputs), request_id=request_id)
    await database.write(create_task, new, inputs)
    [claimed] = await claim_all(database)
    key = AttemptKey(new.task_id, 1)
    await database.record(begin_attempt, claimed.lease, attempt(), new.task_id, lambda status, _: status)
    await database.record(learn, key, Fact(outcome=Outcome.SUCCEEDED))
    await database.record(change, claimed.lease, finish, LATER, images=[image("result")])
    await database.record(add_late_images, key, (image("late"),), LATER)
    return new.task_id


async def test_a_task_is_forgotten_with_all_that_only_it_needed(database: Database) -> None:
    empty = await database.read(sizes)
    task_id = await finished(database, [image("input")], request_id="r")
    assert min((await database.read(sizes)).values()) > 0
    assert await forget(database) == 1
    assert await database.read(sizes) == empty
    used = await database.read(lambda connection: connection.execute(select(USAGE)).one())
    assert (used.queued_tasks, used.stored_bytes) == (0, 0)
    assert await database.read(get_task, TENANT, task_id) is None
    assert await forget(database) == 0


async def test_a_forgotten_request_id_makes_a_new_task(database: Database) -> None:
    """P3: it lives as long as its task."""
    task_id = await finished(database, request_id="r")
    await forget(database)
    assert (await create(database, request_id="r", body="another")).task_id != task_id


async def test_an_image_stays_as_long_as_any_task_needs_it(database: Database) -> None:
    """As the input of one that is still open, too."""
    shared, only = image("shared"), image("only")
    first = await finished(database, [shared, only])
    result = Input(image=image("result"))
    await database.write(create_task, new_task(images=(Input(image=shared), result)))
    assert await forget(database) == 1
    assert await database.read(get_task, TENANT, first) is None
    assert await database.read(get_image, TENANT, shared.image_id) == shared
    assert await database.read(get_image, TENANT, image("result").image_id) is not None
    assert await database.read(get_image, TENANT, only.image_id) is None


async def test_an_image_that_was_uploaded_again_stays(database: Database) -> None:
    given = image("input")
    await finished(database, [given])
    await database.write(add_images, TENANT, [given], MUCH_LATER)
    assert await forget(database) == 1
    assert await database.read(get_image, TENANT, given.image_id) == given


async def test_another_tenants_image_stays(database: Database) -> None:
    given = image("input")
    await database.write(add_images, "other", [given], NOW)
    await finished(database, [given])
    assert await forget(database) == 1
    assert await database.read(get_image, TENANT, given.image_id) is None
    assert await database.read(get_image, "other", given.image_id) == given


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_only_the_state_that_was_asked_for(database: Database, state: State) -> None:
    await finished(database)
    cancelled = await create(database)
    await database.write(cancel_task, TENANT, cancelled.task_id, LATER)
    await create(database)
    assert await forget(database, state) == (state is State.CANCELLED)
    assert (await database.read(sizes))["task"] == 3 - (state is State.CANCELLED)


async def test_what_is_not_old_enough_or_open_stays(database: Database) -> None:
    task_id = await finished(database)
    assert await database.record(forget_tasks, State.SUCCEEDED, LATER, PLENTY) == 0
    waiting = await create(database, now=NOW - timedelta(days=365), timeout=timedelta(days=3650))
    for state in State:
        await database.record(forget_tasks, state, LATER, PLENTY)
    for each in (task_id, waiting.task_id):
        assert await database.read(get_task, TENANT, each) is not None


async def test_a_few_at_a_time_the_oldest_first(database: Database) -> None:
    ids = [await finished(database) for _ in range(5)]
    assert await forget(database, most=2) == 2
    left = [await database.read(get_task, TENANT, each) is not None for each in ids]
    assert sum(left) == 3
    assert [await forget(database, most=2) for _ in range(3)] == [2, 1, 0]


async def test_images_that_no_task_ever_needed_are_forgotten(database: Database) -> None:
    needed = image("needed")
    await database.write(create_task, new_task(images=(Input(image=needed),)), [needed])
    unused = [image(number) for number in range(10)]
    await database.write(add_images, TENANT, unused, NOW)
    young = image("young")
    await database.write(add_images, TENANT, [young], MUCH_LATER)
    after: ImageAge | None = None
    turns = 0
    while turns == 0 or after:
        after = await database.record(forget_images, MUCH_LATER, after, 3)
        turns += 1
    assert turns == 5  # eleven old ones, three at a time, and the end
    left = [
        each for each in (needed, young, *unused) if await database.read(get_image, TENANT, each.image_id)
    ]
    assert left == [needed, young]
