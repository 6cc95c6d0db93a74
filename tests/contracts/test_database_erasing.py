"""Every ``Database``: what a caller erases is gone whole, and nothing that anybody needs goes with it."""

import asyncio
from datetime import timedelta

import pytest

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.request import Input
from imageedit_server.core.task import Outcome, State
from imageedit_server.store.attempts import AttemptKey, Fact, add_late_images, call_back, learn
from imageedit_server.store.creation import add_images, create_task
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task
from imageedit_server.store.erasing import bytes_are_gone, erase_image, erase_task, erased_images
from imageedit_server.store.queries import get_image, get_task
from tests.contracts.test_database_retention import finished, sizes
from tests.store.making import LATER, NOW, TENANT, claimed_task, create, image, new_task

RESULT, LATE = image("result").image_id, image("late").image_id
UNKNOWN = f"task_{'0' * 32}"


async def refused(database: Database, unit: object, *arguments: object) -> Reason:
    with pytest.raises(Refusal) as refusal:
        await database.write(unit, *arguments)  # type: ignore[arg-type]
    return refusal.value.reason


async def test_a_task_goes_with_all_that_only_it_needed(database: Database) -> None:
    """Inputs, outputs, late images, and its request_id; the bytes to erase are named until they are gone."""
    empty = await database.read(sizes)
    given = image("input")
    task_id = await finished(database, [given], request_id="r")
    erased = await database.write(erase_task, TENANT, task_id)
    assert sorted(erased) == sorted([given.image_id, RESULT, LATE])
    assert await database.read(sizes) == empty
    assert sorted(await database.read(erased_images)) == sorted(erased)
    await database.write(bytes_are_gone, erased[:2])
    assert await database.read(erased_images) == sorted(erased[2:])
    assert await refused(database, erase_task, TENANT, task_id) is Reason.TASK_NOT_FOUND
    assert (await create(database, request_id="r", body="another")).task_id != task_id


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
async def test_what_is_not_finished_stays(database: Database, state: State) -> None:
    task = (await claimed_task(database)).task if state is State.RUNNING else await create(database)
    before = await database.read(sizes)
    assert await refused(database, erase_task, TENANT, task.task_id) is Reason.TASK_NOT_FINISHED
    assert await database.read(sizes) == before
    await database.write(cancel_task, TENANT, task.task_id, LATER)
    await database.write(erase_task, TENANT, task.task_id)
    assert await database.read(get_task, TENANT, task.task_id) is None


async def test_anothers_task_is_not_there(database: Database) -> None:
    task_id = await finished(database)
    assert await refused(database, erase_task, "other", task_id) is Reason.TASK_NOT_FOUND
    assert await refused(database, erase_task, TENANT, UNKNOWN) is Reason.TASK_NOT_FOUND
    assert await database.read(get_task, TENANT, task_id) is not None


async def test_an_image_stays_as_long_as_any_task_needs_it(database: Database) -> None:
    shared = image("shared")
    first = await finished(database, [shared])
    user = new_task(images=(Input(image=shared), Input(image=image("result"))))
    await database.write(create_task, user)
    assert await database.write(erase_task, TENANT, first) == [LATE]
    for each in (shared, image("result")):
        assert await database.read(get_image, TENANT, each.image_id) is not None
        assert await refused(database, erase_image, TENANT, each.image_id) is Reason.IMAGE_IN_USE
    await database.write(cancel_task, TENANT, user.task_id, LATER)
    erased = await database.write(erase_task, TENANT, user.task_id)
    assert sorted(erased) == sorted([shared.image_id, RESULT])


async def test_it_goes_although_it_was_uploaded_again(database: Database) -> None:
    """Unlike what is forgotten for its age: here its owner says so."""
    given = image("input")
    task_id = await finished(database, [given])
    await database.write(add_images, TENANT, [given], LATER + timedelta(days=400))
    assert given.image_id in await database.write(erase_task, TENANT, task_id)
    assert await database.read(get_image, TENANT, given.image_id) is None


async def test_another_tenants_image_of_the_same_bytes_stays(database: Database) -> None:
    given = image("input")
    await database.write(add_images, "other", [given], NOW)
    task_id = await finished(database, [given])
    assert given.image_id not in await database.write(erase_task, TENANT, task_id)
    assert await database.read(get_image, TENANT, given.image_id) is None
    assert await database.read(get_image, "other", given.image_id) == given
    assert await database.write(erase_image, "other", given.image_id) == [given.image_id]


async def test_an_image_that_no_task_needs_goes(database: Database) -> None:
    uploaded = image("uploaded")
    await database.write(add_images, TENANT, [uploaded], NOW)
    assert await refused(database, erase_image, "other", uploaded.image_id) is Reason.IMAGE_NOT_FOUND
    assert await database.write(erase_image, TENANT, uploaded.image_id) == [uploaded.image_id]
    assert await refused(database, erase_image, TENANT, uploaded.image_id) is Reason.IMAGE_NOT_FOUND


@pytest.mark.parametrize("erase_first", [False, True])
async def test_a_task_that_was_accepted_has_its_inputs(database: Database, erase_first: bool) -> None:
    """Erasing beside the edit that uses its output: either is refused, or both keep what they need."""
    base = await finished(database)
    output = image("result")
    new = new_task(images=(Input(image=output),))
    units = [
        database.write(erase_task, TENANT, base),
        database.write(create_task, new),
    ]
    erased, created = (
        await asyncio.gather(*(units if erase_first else units[::-1]), return_exceptions=True)
    )[:: 1 if erase_first else -1]
    has_output = await database.read(get_image, TENANT, output.image_id) is not None
    if isinstance(created, BaseException):
        assert isinstance(created, Refusal)
        assert created.reason is Reason.IMAGE_NOT_FOUND
        assert not has_output
        assert RESULT in erased  # type: ignore[operator]
    else:
        assert has_output
        assert RESULT not in erased  # type: ignore[operator]


async def test_what_is_learnt_of_an_erased_attempt_is_dropped(database: Database) -> None:
    """Its vendor's callback is that of an unknown token."""
    task_id = await finished(database)
    await database.write(erase_task, TENANT, task_id)
    key = AttemptKey(task_id, 1)
    before = await database.read(sizes)
    await database.record(learn, key, Fact(outcome=Outcome.FAILED))
    await database.record(add_late_images, key, (image("late"),), LATER)
    assert not await database.write(call_back, "p", task_id, "v", LATER)
    assert await database.read(sizes) == before


async def test_scrubbing_ends(database: Database) -> None:
    task_id = await finished(database)
    await database.write(erase_task, TENANT, task_id)
    await asyncio.gather(database.scrub(), database.scrub())
