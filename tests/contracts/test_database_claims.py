"""Every ``Database``: who works on a task, and that nobody else decides about it (P7, P8, F34)."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, select

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Outcome, Stage, State, Status
from imageedit_server.store.attempts import Fact, begin_attempt, learn
from imageedit_server.store.claims import Claims, HeldBack, Lease, claim, renew
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task, change, release
from imageedit_server.store.log import LeaseLost
from imageedit_server.store.queries import find_task
from imageedit_server.store.tables import TASK
from tests.store.making import (
    LATER,
    LEASE,
    NOW,
    PLENTY,
    TENANT,
    attempt,
    claim_all,
    claimed_task,
    create,
    finish,
    history,
    state_of,
    submitted,
)

SECOND = timedelta(seconds=1)


def same(status: Status, _: datetime) -> Status:
    return status


async def test_the_oldest_is_claimed_first(database: Database) -> None:
    tasks = [await create(database, now=NOW - number * SECOND) for number in range(5)]
    ids = [task.task_id for task in tasks]
    assert [claimed.task.task_id for claimed in await claim_all(database, most=2)] == ids[:2]
    assert [claimed.task.task_id for claimed in await claim_all(database)] == ids[2:]
    assert await claim_all(database) == []


async def test_a_claim_starts_the_task(database: Database) -> None:
    claimed = await claimed_task(database)
    assert claimed.task.status.state is State.RUNNING
    assert claimed.task.status.stage is Stage.PREPARING
    assert claimed.task.status.start_time == NOW
    assert await history(database, claimed.task.task_id) == [(1, "QUEUED"), (2, "RUNNING")]


async def test_no_provider_gets_more_than_it_has_places_for(database: Database) -> None:
    """One provider's full house does not keep another's tasks waiting behind it."""
    for provider in "aaaabbbc":
        await create(database, provider=provider)
    claimed = await claim_all(database, free={"a": 1, "b": 2, "c": 0})
    assert [each.task.request.provider for each in claimed] == ["a", "b", "b"]
    assert [each.task.request.provider for each in await claim_all(database, free={"c": 5})] == ["c"]


async def test_a_provider_that_is_not_named_gets_nothing(database: Database) -> None:
    await create(database, provider="gone")
    assert await claim_all(database, free={"p": 1}) == []


@pytest.mark.parametrize("submits", [0, 1, 2])
async def test_new_work_may_be_held_back_where_old_work_goes_on(database: Database, submits: int) -> None:
    """A provider that must not be paid now is still polled for what it has (P15)."""
    running = await claimed_task(database)
    await database.write(release, running.lease)
    for _ in range(3):
        await create(database)
    claims = await database.write(
        claim,
        now=NOW,
        lease_until=NOW + LEASE,
        free_by_provider={"p": PLENTY},
        submits_by_provider={"p": submits},
        most=PLENTY,
    )
    assert len(claims.claimed) == 1 + submits
    assert claims.claimed[0].task.task_id == running.task.task_id


@pytest.mark.parametrize("allowed", [0, 1])
@pytest.mark.parametrize("most", [1, PLENTY])
async def test_a_tenant_that_is_held_back_holds_nobody_back(
    database: Database, allowed: int, most: int
) -> None:
    """P15: however many tasks of his wait before those of others."""
    for tenant in "aaaaac":
        await create(database, tenant=tenant)
    held = {"p": HeldBack(submits_by_tenant={"a": allowed, "b": 0})}
    found = []
    turn = ""
    for _ in range(2):
        claims = await database.write(
            claim,
            now=NOW,
            lease_until=NOW + LEASE,
            free_by_provider={"p": PLENTY},
            held_back=held,
            most=most,
            turn=turn,
        )
        turn = claims.turn
        found += [each.task.tenant for each in claims.claimed]
        held = {"p": HeldBack(submits_by_tenant={"a": 0})}
    assert found == ["a"] * allowed + ["c"]


async def test_what_waits_for_a_provider_that_is_unwell_ends_with_its_failure(database: Database) -> None:
    own, shared = (
        Failure(reason=FailureReason.PROVIDER_UNAVAILABLE, message="x.", provider_code=code)
        for code in ("own", "shared")
    )
    held = {"p": HeldBack(failure_by_tenant={"a": own}, failure=shared)}
    codes = []
    for tenant, provider in (("a", "p"), ("b", "p"), ("a", "q")):
        task = await create(database, tenant=tenant, provider=provider, timeout=SECOND)
        await database.write(
            claim, now=NOW + SECOND, lease_until=LATER, free_by_provider={}, held_back=held, most=0
        )
        ended = await database.read(find_task, task.task_id)
        assert ended is not None
        assert ended.status.error is not None
        codes.append(ended.status.error.provider_code)
    assert codes == ["own", "shared", ""]


async def test_a_claim_for_nothing_still_ends_what_is_overdue(database: Database) -> None:
    task = await create(database, timeout=SECOND)
    assert await claim_all(database, NOW + SECOND, most=0) == []
    assert await state_of(database, task.task_id) == ("FAILED", 2)


async def test_a_task_is_claimed_by_one(database: Database) -> None:
    """Claims that race share the tasks out; no task is handed out twice."""
    for _ in range(20):
        await create(database)
    claims = await asyncio.gather(*(claim_all(database, most=3) for _ in range(10)))
    ids = [claimed.task.task_id for each in claims for claimed in each]
    assert len(ids) == len(set(ids)) == 20


async def test_a_given_back_task_waits_for_its_time(database: Database) -> None:
    claimed = await claimed_task(database)
    await database.write(change, claimed.lease, transitions.give_back, NOW, not_before=LATER)
    assert await claim_all(database, LATER - timedelta(microseconds=1)) == []
    again = await claim_all(database, LATER)
    assert [each.task.task_id for each in again] == [claimed.task.task_id]
    assert again[0].task.status.start_time == NOW
    states = [state for _, state in await history(database, claimed.task.task_id)]
    assert states == ["QUEUED", "RUNNING", "QUEUED", "RUNNING"]


async def test_a_parked_task_runs_and_waits_for_its_time(database: Database) -> None:
    claimed = await claimed_task(database)

    park = partial(transitions.enter, stage=Stage.SUBMIT_UNKNOWN)
    await database.write(change, claimed.lease, park, NOW, not_before=LATER)
    assert await claim_all(database, NOW) == []
    again = await claim_all(database, LATER)
    assert [each.task.status.stage for each in again] == [Stage.SUBMIT_UNKNOWN]
    assert again[0].task.seq == 3  # taking over is not an event: nothing changed for watchers


async def test_a_lease_keeps_others_out_until_it_runs_out(database: Database) -> None:
    first = await claimed_task(database)
    assert await claim_all(database, NOW + LEASE - timedelta(microseconds=1)) == []
    [second] = await claim_all(database, NOW + LEASE)
    assert second.lease.task_id == first.lease.task_id
    assert second.lease.token > first.lease.token


async def test_a_renewed_lease_lasts_longer(database: Database) -> None:
    claimed = await claimed_task(database)
    await database.write(renew, [claimed.lease], NOW + 2 * LEASE)
    assert await claim_all(database, NOW + 2 * LEASE - timedelta(microseconds=1)) == []
    assert len(await claim_all(database, NOW + 2 * LEASE)) == 1


async def test_a_lost_lease_is_not_renewed(database: Database) -> None:
    first = await claimed_task(database)
    [second] = await claim_all(database, NOW + LEASE, lease_until=NOW + 2 * LEASE)
    await database.write(renew, [first.lease], NOW + 100 * LEASE)
    assert len(await claim_all(database, NOW + 2 * LEASE)) == 1
    await database.write(renew, [], NOW)
    with pytest.raises(LeaseLost):
        await database.write(change, second.lease, same, NOW)


async def test_forgotten_leases_are_free_at_once(database: Database) -> None:
    """P7: at a start the file lock proves the owner dead; nobody waits for leases."""
    first = await claimed_task(database)
    waiting = await claimed_task(database)
    await database.write(change, waiting.lease, same, NOW, not_before=LATER)
    await database.recover()
    again = await claim_all(database, NOW)
    assert [each.task.task_id for each in again] == [first.task.task_id]  # the other one's time has not come
    assert again[0].lease.token > first.lease.token


async def test_a_released_task_goes_on_where_it_stands(database: Database) -> None:
    claimed, _ = await submitted(database)
    await database.write(release, claimed.lease)
    [again] = await claim_all(database, NOW)
    assert again.task.status.attempts[0].outcome is Outcome.IN_FLIGHT
    await database.write(release, claimed.lease)  # by a zombie
    assert await claim_all(database, NOW) == []


DECISIONS: dict[str, transitions.Transition] = {
    "enter": partial(transitions.enter, stage=Stage.WAITING),
    "progress": partial(transitions.progress, percent=50),
    "give back": transitions.give_back,
    "succeed": finish,
    "expire": transitions.expire,
}


@pytest.mark.parametrize("step", DECISIONS.values(), ids=DECISIONS)
async def test_a_stale_token_touches_nothing(database: Database, step: transitions.Transition) -> None:
    """P8: whoever lost the lease decides nothing, whatever it wants to decide."""
    zombie = await claimed_task(database)
    [owner] = await claim_all(database, NOW + LEASE)
    before = await database.read(find_task, owner.lease.task_id)
    with pytest.raises(LeaseLost):
        await database.write(change, zombie.lease, step, LATER)
    assert await database.read(find_task, owner.lease.task_id) == before
    await database.write(change, owner.lease, finish, LATER)
    assert await state_of(database, owner.lease.task_id) == ("SUCCEEDED", 3)


async def test_a_zombie_begins_no_attempt(database: Database) -> None:
    """P5: without the lease there is no intent, and so no paid call."""
    zombie = await claimed_task(database)
    await claim_all(database, NOW + LEASE)
    with pytest.raises(LeaseLost):
        await database.write(begin_attempt, zombie.lease, attempt(), "token", same)
    assert (await database.read(find_task, zombie.lease.task_id)).status.attempts == ()


async def test_a_lease_on_no_task_is_lost(database: Database) -> None:
    with pytest.raises(LeaseLost):
        await database.write(change, Lease("task_none", 1), same, NOW)


def token_of(connection: Connection, task_id: str) -> int:
    return int(connection.execute(select(TASK.c.lease_token).where(TASK.c.task_id == task_id)).scalar_one())


async def test_cancel_fences_the_worker(database: Database) -> None:
    claimed, _ = await submitted(database)
    task = await database.write(cancel_task, TENANT, claimed.task.task_id, LATER)
    assert task.status.state is State.CANCELLED
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert await database.read(token_of, claimed.task.task_id) > claimed.lease.token
    for step in DECISIONS.values():
        with pytest.raises(LeaseLost):
            await database.write(change, claimed.lease, step, LATER)
    await database.write(renew, [claimed.lease], NOW + LEASE)
    assert await claim_all(database, NOW + 100 * LEASE) == []
    assert await state_of(database, claimed.task.task_id) == ("CANCELLED", 4)


async def test_cancel_answers_a_finished_task_as_it_is(database: Database) -> None:
    """F76: idempotent, also after success."""
    claimed = await claimed_task(database)
    done = await database.write(change, claimed.lease, finish, LATER)
    assert await database.write(cancel_task, TENANT, done.task_id, LATER) == done
    queued = await create(database)
    first = await database.write(cancel_task, TENANT, queued.task_id, LATER)
    assert first.status.billing is Billing.NOT_CHARGED
    assert await database.write(cancel_task, TENANT, queued.task_id, LATER + SECOND) == first


@pytest.mark.parametrize("known", [True, False])
async def test_cancel_is_within_the_tenant(database: Database, known: bool) -> None:
    task = await create(database)
    with pytest.raises(Refusal) as refused:
        await database.write(cancel_task, "other", task.task_id if known else "task_none", NOW)
    assert (refused.value.reason, refused.value.message) == (Reason.TASK_NOT_FOUND, "There is no such task.")
    assert await state_of(database, task.task_id) == ("QUEUED", 1)


async def test_deadlines_end_what_nobody_works_on(database: Database) -> None:
    queued = await create(database, timeout=SECOND)
    parked, _ = await submitted(database, timeout=SECOND)
    await database.write(change, parked.lease, same, NOW, not_before=NOW + 100 * LEASE)
    owned = await claimed_task(database, timeout=SECOND)  # claims the queued one too
    await database.write(change, owned.lease, transitions.give_back, NOW, not_before=NOW + 100 * LEASE)
    busy = await claimed_task(database, timeout=SECOND)

    async def failure(task_id: str) -> str:
        error = (await database.read(find_task, task_id)).status.error
        return error.reason if error else ""

    await database.recover()
    await database.write(renew, [busy.lease], NOW + LEASE)
    assert await claim_all(database, NOW + SECOND, most=0) == []
    assert await failure(queued.task_id) == FailureReason.DEADLINE_EXCEEDED
    assert await failure(parked.task.task_id) == FailureReason.SUBMIT_OUTCOME_UNKNOWN
    assert await failure(owned.task.task_id) == FailureReason.DEADLINE_EXCEEDED
    assert await failure(busy.task.task_id) == ""  # its owner ends it


async def test_an_unknown_free_call_is_just_late(database: Database) -> None:
    """Where nothing can be billed, nobody has to ask what became of the call."""
    claimed = await claimed_task(database, timeout=SECOND)
    free = replace(attempt(), billing=Billing.NOT_CHARGED)
    await database.write(begin_attempt, claimed.lease, free, "token", same)
    await database.recover()
    await claim_all(database, NOW + SECOND)
    status = (await database.read(find_task, claimed.task.task_id)).status
    assert status.error == transitions.DEADLINE_EXCEEDED
    assert status.billing is Billing.NOT_CHARGED


async def test_a_claim_says_when_to_look_again(database: Database) -> None:
    async def due(moment: timedelta) -> timedelta | None:
        claims: Claims = await database.write(
            claim, now=NOW + moment, lease_until=NOW + moment + LEASE, free_by_provider={}, most=0
        )
        return None if claims.next_due is None else claims.next_due - NOW

    assert await due(0 * SECOND) is None
    await create(database, timeout=100 * SECOND)
    assert await due(0 * SECOND) == 100 * SECOND
    claimed = await claimed_task(database, timeout=200 * SECOND)
    await database.write(change, claimed.lease, transitions.give_back, NOW, not_before=NOW + 7 * SECOND)
    assert await due(0 * SECOND) == 7 * SECOND
    assert await due(7 * SECOND) == 100 * SECOND
    parked = await claimed_task(database, timeout=200 * SECOND)
    await database.write(change, parked.lease, same, NOW, not_before=NOW + 50 * SECOND)
    assert await due(8 * SECOND) == 50 * SECOND


async def test_a_fact_about_a_taken_over_attempt_is_seen_by_its_new_owner(database: Database) -> None:
    """F34: what a zombie learnt is kept, and the rightful owner decides with it."""
    _, key = await submitted(database)
    [owner] = await claim_all(database, NOW + LEASE)
    fact = Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v1")
    await database.write(learn, key, fact)
    task = await database.write(change, owner.lease, same, LATER)
    assert task.status.attempts[0].vendor_task_id == "v1"
