"""Every ``Database``: a copy is told from its original, and what that may have paid for is parked (P32)."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.task import Outcome, State, Task
from imageedit_server.store.attempts import AttemptKey, Fact, learn
from imageedit_server.store.claims import Claimed
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import change
from imageedit_server.store.log import LeaseLost
from imageedit_server.store.queries import find_task
from imageedit_server.store.restoring import (
    COPIED,
    RESTORED,
    last_place,
    newest_task,
    open_tasks,
    park,
    served_from,
)
from tests.contracts.databases import DATABASES
from tests.store.making import LATER, NOW, claimed_task, create, finish, submitted

MAYBE = Billing.MAY_HAVE_BEEN_CHARGED
TOKEN = "a" * 64


async def parked(database: Database, task_id: str) -> Task | None:
    """Park a task; what is returned of it is what is stored of it."""
    told = await database.write(park, task_id, MAYBE, TOKEN, LATER)
    found = await database.read(find_task, task_id)
    if told is not None:
        assert found == told
        assert (found.status.state, found.status.billing, found.status.error) == (
            *(State.FAILED, MAYBE, RESTORED),
        )
        last = found.status.attempts[-1]
        assert (last.outcome, last.billing) == (Outcome.UNKNOWN, MAYBE)
    return told


async def test_where_it_was_served_from_is_remembered(database: Database) -> None:
    assert await database.read(last_place) is None
    for place in (database.place(), COPIED, 2**62):
        await database.write(served_from, place)
        assert await database.read(last_place) == place


@pytest.mark.parametrize("member", DATABASES)
async def test_a_place_is_the_same_at_every_start_and_another_elsewhere(tmp_path: Path, member: str) -> None:
    places = []
    for folder in ("one", "one", "two"):
        async with DATABASES[member].open(tmp_path / folder) as database:
            places.append(database.place())
    assert places[0] == places[1] != places[2]
    assert COPIED not in places


async def test_only_open_tasks_of_those_providers_that_the_copy_had(database: Database) -> None:
    first, second = await create(database), (await submitted(database))[0].task
    ended = await claimed_task(database)
    await database.write(change, ended.lease, finish, LATER)
    through = await database.read(newest_task)
    await create(database)
    found = await database.read(open_tasks, through, ["p", "q"])
    assert set(found) == {first.task_id, second.task_id}
    assert await database.read(open_tasks, through, ["q"]) == []


async def test_what_waits_in_the_queue_gets_the_attempt_that_may_have_been_made(database: Database) -> None:
    task = await create(database)
    told = await parked(database, task.task_id)
    assert told is not None
    [attempt] = told.status.attempts
    assert (attempt.number, attempt.provider, attempt.submit_time, attempt.error) == (1, "p", LATER, RESTORED)
    assert await parked(database, task.task_id) is None, "it has ended"


@pytest.mark.parametrize("outcome", [Outcome.IN_FLIGHT, Outcome.UNKNOWN])
async def test_what_was_being_paid_has_its_attempt_already(database: Database, outcome: Outcome) -> None:
    """Whoever had its lease decides no more."""
    claimed, key = await submitted(database)
    if outcome is Outcome.UNKNOWN:
        await database.write(learn, key, Fact(outcome=outcome))
    told = await parked(database, key.task_id)
    assert told is not None
    assert [attempt.number for attempt in told.status.attempts] == [1]
    with pytest.raises(LeaseLost):
        await database.write(change, claimed.lease, finish, LATER)


async def test_what_is_to_be_sent_again_gets_another_attempt(database: Database) -> None:
    claimed, key = await submitted(database)
    await given_back(database, claimed, key)
    told = await parked(database, key.task_id)
    assert told is not None
    assert [attempt.outcome for attempt in told.status.attempts] == [Outcome.NOT_PROCESSED, Outcome.UNKNOWN]


async def given_back(database: Database, claimed: Claimed, key: AttemptKey) -> None:
    await database.write(learn, key, Fact(outcome=Outcome.NOT_PROCESSED, billing=Billing.NOT_CHARGED))
    waiting = NOW + timedelta(minutes=1)
    await database.write(change, claimed.lease, transitions.give_back, NOW, not_before=waiting)


@pytest.mark.parametrize(
    "fact", [Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v"), Fact(outcome=Outcome.SUCCEEDED)]
)
async def test_what_goes_on_for_free_goes_on(database: Database, fact: Fact) -> None:
    """Its vendor named the work, or has finished it: nothing is paid again."""
    claimed, key = await submitted(database)
    await database.write(learn, key, fact)
    assert await parked(database, key.task_id) is None
    step = partial(transitions.progress, percent=5)
    assert (await database.write(change, claimed.lease, step, LATER)).status.progress_percent == 5


async def test_nobodys_task_is_not_parked(database: Database) -> None:
    assert await database.write(park, f"task_{'0' * 32}", MAYBE, TOKEN, LATER) is None
