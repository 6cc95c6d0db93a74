"""Every ``Database``: which bytes nothing speaks of, and since when somebody may hold some (F4)."""

from datetime import timedelta

from imageedit_server.store.creation import add_images
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import change
from imageedit_server.store.unreferenced import oldest_running, unreferenced
from tests.store.making import NOW, claimed_task, create, finish, image

DAY = timedelta(days=1)


async def test_an_image_is_referenced_while_any_tenant_has_it(database: Database) -> None:
    for tenant, seeds in {"a": (1, 2), "b": (2, 3), "zz": (4,)}.items():
        await database.write(add_images, tenant, [image(seed) for seed in seeds], NOW)
    ids = [image(seed).image_id for seed in range(7)]
    assert await database.read(unreferenced, ids) == sorted(ids[seed] for seed in (0, 5, 6))
    assert await database.read(unreferenced, ids[1:5]) == []
    assert await database.read(unreferenced, []) == []


async def test_without_images_none_is_referenced(database: Database) -> None:
    assert await database.read(unreferenced, [image().image_id]) == [image().image_id]


async def test_many_ids_are_asked_for_at_once(database: Database) -> None:
    images = [image(seed) for seed in range(1000)]
    await database.write(add_images, "a", images[:500], NOW)
    left = await database.read(unreferenced, [each.image_id for each in images])
    assert left == sorted(each.image_id for each in images[500:])


async def test_only_tasks_that_are_worked_on_hold_images(database: Database) -> None:
    assert await database.read(oldest_running) is None
    first = await claimed_task(database, now=NOW - timedelta(hours=2), timeout=DAY)
    second = await claimed_task(database, now=NOW - timedelta(hours=1), timeout=DAY)
    await create(database, now=NOW - timedelta(hours=3), provider="elsewhere", timeout=DAY)
    assert await database.read(oldest_running) == NOW - timedelta(hours=2)
    await database.write(change, first.lease, finish, NOW)
    assert await database.read(oldest_running) == NOW - timedelta(hours=1)
    await database.write(change, second.lease, finish, NOW)
    assert await database.read(oldest_running) is None
