"""Every ``Database``: tenants take turns, and use no more of the store than they may (F88)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select, text

from imageedit_server.core import transitions
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.image import Image
from imageedit_server.store.claims import Claims, claim
from imageedit_server.store.creation import add_images, create_task
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task, change, release
from imageedit_server.store.quotas import QUEUE_RETRY_SECONDS, Quota
from imageedit_server.store.tables import EVENT, IMAGE, TASK, USAGE
from tests.store.making import LATER, LEASE, NOW, PLENTY, TENANT, claim_all, create, finish, image, new_task

PLACES = {"p": PLENTY, "q": PLENTY}


async def take(database: Database, most: int, turn: str = "", **how: Any) -> Claims:
    """Claim once."""
    how = {"free_by_provider": PLACES, "now": NOW, **how}
    return await database.write(claim, lease_until=NOW + LEASE, most=most, turn=turn, **how)


async def take_singly(database: Database, times: int, turn: str = "") -> list[str]:
    """Claim one task after the other, as a full house does; return whose they were."""
    tenants = []
    for _ in range(times):
        claims = await take(database, 1, turn)
        turn = claims.turn
        tenants += [each.task.tenant for each in claims.claimed]
    return tenants


# Turns


async def test_tenants_take_turns_however_many_tasks_they_have(database: Database) -> None:
    """One task of each, over and over; when only one is left it gets everything."""
    for tenant, tasks in (("alice", 6), ("bob", 2), ("carol", 1)):
        for _ in range(tasks):
            await create(database, tenant=tenant)
    assert await take_singly(database, 10) == [
        *("alice", "bob", "carol", "alice", "bob"),
        *("alice", "alice", "alice", "alice"),
    ]


async def test_a_task_waits_for_one_turn_of_each_other_tenant(database: Database) -> None:
    """However long the queue of the others is, and whoever's turn it was."""
    for _ in range(300):
        await create(database, tenant="alice")
    for turn in ("", "alice", "bob", "zoe"):
        await create(database, tenant="bob")
        assert "bob" in await take_singly(database, 2, turn)


async def test_turns_count_across_providers(database: Database) -> None:
    """A flood at one provider does not take the last place from a task at another."""
    for _ in range(5):
        await create(database, tenant="alice", provider="p")
    await create(database, tenant="bob", provider="q")
    assert await take_singly(database, 3) == ["alice", "bob", "alice"]


async def test_what_was_begun_goes_on_before_anything_new(database: Database) -> None:
    """It may be paid already; and it is no turn."""
    await create(database, tenant="bob")
    (begun,) = await claim_all(database)
    await create(database, tenant="alice")
    await database.write(release, begun.lease)
    claims = await take(database, 1, "alice")
    assert [each.task.task_id for each in claims.claimed] == [begun.task.task_id]
    assert claims.turn == "alice"


async def test_a_tenant_that_can_do_nothing_now_does_not_lose_others_their_turn(database: Database) -> None:
    """Its provider is full, or its tasks wait for their time."""
    await create(database, tenant="alice", provider="full")
    (waiting,) = await claim_all(database, free={"full": 1})
    await database.write(change, waiting.lease, transitions.give_back, NOW, not_before=LATER)
    await create(database, tenant="bob", provider="q")
    await create(database, tenant="carol", provider="p")
    free = {"full": 1, "p": 0, "q": 1}
    assert [each.task.tenant for each in (await take(database, 1, free_by_provider=free)).claimed] == ["bob"]
    late = await take(database, 1, "bob", free_by_provider=free, now=LATER)
    assert [each.task.tenant for each in late.claimed] == ["alice"]


FACES = st.tuples(st.sampled_from("abcde"), st.sampled_from("pq"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tasks=st.lists(FACES, max_size=30),
    free=st.fixed_dictionaries({"p": st.integers(0, 9), "q": st.integers(0, 9)}),
    most=st.integers(1, 9),
    turn=st.sampled_from(["", "a", "c", "e", "x"]),
)
@example(tasks=[("a", "p")] * 3 + [("b", "p")] * 3, free={"p": 4, "q": 0}, most=4, turn="")
async def test_the_walks_find_what_a_look_at_all_would(
    database: Database, tasks: Sequence[tuple[str, str]], free: dict[str, int], most: int, turn: str
) -> None:
    """Short walks along the index answer as if every queued task had been put in order."""
    await database.write(_delete_tasks)
    for tenant, provider in tasks:
        await create(database, tenant=tenant, provider=provider)
    claims = await take(database, most, turn, free_by_provider=free)
    assert [(each.task.tenant, each.task.request.provider) for each in claims.claimed] == expected(
        tasks, free, most, turn
    )


def _delete_tasks(connection: Connection) -> None:
    for table in (EVENT, TASK):
        connection.execute(delete(table))


def expected(
    tasks: Sequence[tuple[str, str]], free: dict[str, int], most: int, turn: str
) -> list[tuple[str, str]]:
    """The rule itself: round by round, who is next in the circle takes its oldest task that still fits."""
    free, left, chosen = dict(free), list(tasks), list[tuple[str, str]]()
    while any(free[provider] for _, provider in left) and len(chosen) < most:
        for tenant in sorted("abcde", key=lambda tenant: (tenant <= turn, tenant)):
            task = next((task for task in left if task[0] == tenant and free[task[1]]), None)
            if task and len(chosen) < most:
                free[task[1]] -= 1
                left.remove(task)
                chosen.append(task)
    return chosen


# Sums

RECOUNT = text(
    """SELECT tenant, sum(queued) AS queued_tasks, sum(bytes) AS stored_bytes FROM (
         SELECT tenant, 1 AS queued, 0 AS bytes FROM task WHERE state = 'QUEUED'
         UNION ALL SELECT tenant, 0, size_bytes FROM image)
       GROUP BY tenant"""
)


async def used(database: Database, tenant: str = TENANT) -> tuple[int, int]:
    """Return the queued tasks and the stored bytes of a tenant, as the sums say."""

    def sums(connection: Connection, statement: Any) -> dict[str, tuple[int, int]]:
        rows = connection.execute(statement)
        return {row.tenant: (row.queued_tasks, row.stored_bytes) for row in rows}

    kept = await database.read(sums, select(USAGE).where(USAGE.c.queued_tasks + USAGE.c.stored_bytes > 0))
    assert kept == await database.read(sums, RECOUNT)
    return kept.get(tenant, (0, 0))


async def test_the_sums_follow_every_change(database: Database) -> None:
    """Created, claimed, given back, ended; images new, known, shared, deleted; recounted each time."""
    assert await used(database) == (0, 0)
    await database.write(create_task, new_task(), [image(1), image(1)])
    await create(database)
    await create(database, tenant="other")
    assert await used(database) == (2, 70)
    assert await used(database, "other") == (1, 0)
    first, second = [each for each in await claim_all(database) if each.task.tenant == TENANT]
    assert await used(database) == (0, 70)
    await database.write(change, first.lease, transitions.give_back, NOW)
    assert await used(database) == (1, 70)
    await database.write(cancel_task, TENANT, first.task.task_id, NOW)
    await database.write(change, second.lease, finish, NOW, images=[image("result")])
    assert await used(database) == (0, 140)
    await database.write(add_images, "other", [image(1), image(2)], NOW)
    await database.write(add_images, TENANT, [image(1)], NOW)
    assert await used(database) == (0, 140)
    assert await used(database, "other") == (0, 140)
    await database.write(lambda connection: connection.execute(delete(IMAGE).where(IMAGE.c.tenant == TENANT)))
    assert await used(database) == (0, 0)
    assert await used(database, "other") == (0, 140)


async def test_what_is_undone_is_not_counted(database: Database) -> None:
    """A refusal takes back all of its unit."""

    def refused(connection: Connection) -> None:
        create_task(connection, new_task(), [image(1)])
        raise Refusal(Reason.INVALID_FIELD, "no")

    with pytest.raises(Refusal):
        await database.write(refused)
    assert await used(database) == (0, 0)


# Quotas


async def reason_of(database: Database, *images: Image, tenant: str = TENANT, **quota: int) -> str:
    """Try to create a task; return why it is refused, nothing when it is not."""
    try:
        await database.write(create_task, new_task(tenant=tenant), images, Quota(**quota))
    except Refusal as refusal:
        waits = (Reason.QUOTA_EXCEEDED, QUEUE_RETRY_SECONDS if "queued_tasks" in quota else None)
        return "wrong time" if (refusal.reason, refusal.retry_after_seconds) != waits else "QUOTA_EXCEEDED"
    return ""


async def test_no_more_tasks_wait_than_may(database: Database) -> None:
    """Those of other tenants do not count, nor those that run; a repeat is answered all the same."""
    for _ in range(5):
        await create(database, tenant="other")
    repeat = new_task(request_id="r")
    await database.write(create_task, repeat)
    assert await reason_of(database, queued_tasks=2) == ""
    before = await used(database)
    assert await reason_of(database, image(1), queued_tasks=2) == "QUOTA_EXCEEDED"
    assert await used(database) == before
    again = replace(repeat, task_id="task_" + "0" * 32)
    assert (await database.write(create_task, again, (), Quota(queued_tasks=1))).task_id == repeat.task_id
    await claim_all(database, most=1)
    await claim_all(database, most=1)
    assert await reason_of(database, queued_tasks=2) == ""


async def test_pictures_take_no_more_room_than_they_may(database: Database) -> None:
    """To the byte; what the tenant has already takes no more; others' do not count."""
    quota = Quota(stored_bytes=140)
    await database.write(add_images, "other", [image(9)], NOW)
    await database.write(add_images, TENANT, [image(1)], NOW, quota)
    with pytest.raises(Refusal) as refused:
        await database.write(add_images, TENANT, [image(2), image(3)], NOW, quota)
    assert refused.value.reason is Reason.QUOTA_EXCEEDED
    assert refused.value.retry_after_seconds is None
    assert await used(database) == (0, 70)
    await database.write(add_images, TENANT, [image(2), image(2), image(1)], NOW, quota)
    await database.write(add_images, TENANT, [image(1), image(2)], NOW, quota)
    assert await used(database) == (0, 140)
    await database.write(add_images, TENANT, [image(4)], NOW)  # a result: paid for, so kept
    assert await used(database) == (0, 210)
    await database.write(add_images, TENANT, [image(1)], NOW, quota)


async def test_who_has_no_room_left_gets_no_new_task(database: Database) -> None:
    """Each would bring results; with room for them, inline pictures count too."""
    assert await reason_of(database, image(1), stored_bytes=69) == "QUOTA_EXCEEDED"
    assert await reason_of(database, image(1), stored_bytes=70) == ""
    assert await reason_of(database, stored_bytes=70) == "QUOTA_EXCEEDED"
    assert await reason_of(database, stored_bytes=71) == ""
    assert await reason_of(database, image(2), stored_bytes=139) == "QUOTA_EXCEEDED"
    assert await reason_of(database, image(1), stored_bytes=71) == ""


async def test_room_comes_back_when_pictures_go(database: Database) -> None:
    """Whatever deletes them."""
    await database.write(add_images, TENANT, [image(1)], NOW)
    assert await reason_of(database, stored_bytes=70) == "QUOTA_EXCEEDED"
    await database.write(lambda connection: connection.execute(delete(IMAGE)))
    assert await reason_of(database, stored_bytes=70) == ""
