"""Every ``Database``: facts about attempts are written once, by whoever learnt them (P6, P8, F46, F57)."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from imageedit_server.core import transitions
from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.change import Change
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Attempt, Outcome, Stage, State
from imageedit_server.feed.base import Feed
from imageedit_server.store.answers import (
    answer_is_gone,
    answered_attempt,
    learn_from_file,
    learn_from_kept_file,
    token_of,
)
from imageedit_server.store.attempts import (
    CALLBACK_LIFE,
    LEARNT_AFTER,
    AttemptKey,
    Fact,
    VendorTaskTaken,
    add_late_images,
    begin_attempt,
    call_back,
    called_late,
    late_callback,
    late_collected,
    learn,
    learn_and_change,
    learn_and_end,
    note_answer,
    result_urls,
)
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task, change
from imageedit_server.store.dialect import Taken
from imageedit_server.store.queries import events_after, find_task, get_image, get_task
from imageedit_server.store.retention import forget_tasks
from imageedit_server.store.tables import ATTEMPT, USAGE
from tests.store.making import (
    LATER,
    LEASE,
    NOW,
    TENANT,
    attempt,
    claim_all,
    claimed_task,
    create,
    finish,
    image,
    submitted,
)

ERROR = Failure(
    reason=FailureReason.PROVIDER_REJECTED, message="no", provider_code="422", provider_message="x" * 500
)


async def known(database: Database, key: AttemptKey) -> Attempt:
    return (await database.read(find_task, key.task_id)).status.attempts[key.number - 1]


async def set_outcome(database: Database, key: AttemptKey, outcome: Outcome) -> None:
    """Bring an attempt to where a test starts, past the rules."""
    await database.write(lambda c: c.execute(update(ATTEMPT).values(outcome=outcome.value)))


def test_the_table_of_what_may_follow_is_total() -> None:
    assert set(LEARNT_AFTER) == set(Outcome)


def test_no_outcome_follows_itself_or_comes_back() -> None:
    """What is known is never unlearnt: the table has no way round in a circle."""
    reachable = {outcome: set(before) for outcome, before in LEARNT_AFTER.items()}
    for through, after, before in product(Outcome, repeat=3):
        if through in reachable[after] and before in reachable[through]:
            reachable[after].add(before)
    assert all(outcome not in before for outcome, before in reachable.items())


def test_no_fact_makes_an_accepted_call_look_unsent() -> None:
    """P5: NOT_PROCESSED allows another paid call, so only one of which nothing else is known may get it."""
    assert LEARNT_AFTER[Outcome.NOT_PROCESSED] == (Outcome.IN_FLIGHT,)


async def test_a_fact_replaces_only_what_the_table_says(database: Database) -> None:
    for before, after in product(Outcome, repeat=2):
        _, key = await submitted(database)
        await set_outcome(database, key, before)
        await database.write(learn, key, Fact(outcome=after, vendor_request_id="new"))
        found = await known(database, key)
        taken = before in LEARNT_AFTER[after]
        assert found.outcome is (after if taken else before), (before, after)
        assert found.vendor_request_id == ("new" if taken else "")


async def test_everything_learnt_is_kept(database: Database) -> None:
    _, key = await submitted(database)
    await database.write(
        learn, key, Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v", vendor_request_id="r")
    )
    answer = AnswerHead(status=200, media_type="image/png", size_bytes=7, time=LATER)
    fact = Fact(
        outcome=Outcome.SUCCEEDED,
        billing=Billing.CHARGED,
        end_time=LATER,
        result_urls=("https://h/1?s",),
        answer=answer,
        usage={"total_tokens": "12"},
    )
    await database.write(learn, key, fact)
    await database.write(learn, key, Fact(outcome=Outcome.FAILED, error=ERROR))
    assert await known(database, key) == Attempt(
        number=1,
        provider="p",
        outcome=Outcome.FAILED,
        billing=Billing.CHARGED,  # the vendor reported success, whatever happened after
        vendor_task_id="v",
        vendor_request_id="r",
        error=ERROR,
        submit_time=NOW,
        end_time=LATER,
        answer=answer,
        usage={"total_tokens": "12"},
    )
    assert await database.read(result_urls, key) == ("https://h/1?s",)


async def test_what_became_of_an_answer_is_noted_whatever_the_outcome(database: Database) -> None:
    """A body that is kept counts as its tenant's, which refuses it never; then it may go."""
    _, key = await submitted(database)
    head = AnswerHead(status=200, media_type="text/html", size_bytes=300, time=LATER)
    for kept, stored_bytes in ((True, 300), (True, 300), (False, 0), (True, 300)):
        noted = replace(head, kept=kept)
        await database.write(note_answer, key, noted)
        assert (await known(database, key)).answer == noted
        assert await stored(database, TENANT) == stored_bytes
    await database.write(note_answer, AttemptKey("task_none", 1), head)


async def test_a_kept_answer_counts_until_its_task_is_forgotten(database: Database) -> None:
    _, key = await submitted(database)
    await database.write(cancel_task, TENANT, key.task_id, LATER)
    head = AnswerHead(status=200, size_bytes=300, time=LATER, kept=True)
    await database.write(note_answer, key, head)
    await database.write(forget_tasks, State.CANCELLED, LATER + timedelta(days=1), 5)
    assert await stored(database, TENANT) == 0


async def stored(database: Database, tenant: str) -> int:
    query = select(USAGE.c.stored_bytes).where(USAGE.c.tenant == tenant)
    return int(await database.read(lambda c: c.execute(query).scalar_one()))


async def test_without_urls_there_are_none(database: Database) -> None:
    _, key = await submitted(database)
    assert await database.read(result_urls, key) == ()
    assert await database.read(result_urls, replace(key, number=2)) == ()
    assert await database.read(result_urls, AttemptKey("task_none", 1)) == ()


async def test_a_zombie_tells_the_vendors_id(database: Database) -> None:
    """P8: facts are accepted from any holder of the attempt, also when it lost the task or the task ended."""
    zombie, key = await submitted(database)
    [owner] = await claim_all(database, NOW + LEASE)
    await database.write(learn, key, Fact(outcome=Outcome.UNKNOWN))
    await database.write(change, owner.lease, transitions.expire, LATER)
    await database.write(learn, key, Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v1"))
    task = await database.read(get_task, TENANT, zombie.task.task_id)
    assert task is not None
    assert task.status.attempts[0].vendor_task_id == "v1"
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN  # the task itself does not change
    assert task.seq == 4


async def test_a_fact_and_its_decision_are_one_commit(database: Database) -> None:
    claimed, key = await submitted(database)
    fact = Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v")
    enter = partial(transitions.enter, stage=Stage.WAITING)
    task = await database.write(learn_and_change, claimed.lease, key, fact, enter, LATER)
    assert task is not None
    assert task == await database.read(get_task, TENANT, key.task_id)
    assert task.status.stage is Stage.WAITING
    assert task.status.attempts[0].vendor_task_id == "v"


IMAGE = image("e")
AT_ONCE: dict[str, Any] = {
    "reach": partial(transitions.enter, stage=Stage.DOWNLOADING),
    "end": partial(transitions.succeed, images=(IMAGE,)),
    "images": (IMAGE,),
    "now": LATER,
}


async def test_a_result_that_is_home_at_once_is_one_commit_and_two_events(database: Database) -> None:
    claimed, key = await submitted(database)
    task = await database.write(learn_and_end, claimed.lease, key, Fact(outcome=Outcome.SUCCEEDED), **AT_ONCE)
    assert task is not None
    assert task == await database.read(get_task, TENANT, key.task_id)
    assert (task.status.state, task.status.images) == (State.SUCCEEDED, (IMAGE,))
    told = await database.read(events_after, key.task_id, task.seq - 2, 10)
    assert [event.task.status.stage for event in told] == [Stage.DOWNLOADING, None]


async def test_a_result_that_is_home_after_the_end_is_a_fact_to_be_collected(database: Database) -> None:
    claimed, key = await submitted(database)
    await database.write(cancel_task, TENANT, key.task_id, LATER)
    fact = Fact(outcome=Outcome.SUCCEEDED)
    assert await database.write(learn_and_end, claimed.lease, key, fact, **AT_ONCE) is None
    assert (await known(database, key)).outcome is Outcome.SUCCEEDED
    assert await database.read(called_late) == [key.task_id]


async def test_an_answer_is_its_attempts_by_the_token(database: Database) -> None:
    """A number is used again where a database was restored; a token never is."""
    _, key = await submitted(database)
    token = await database.read(token_of, key)
    found = await database.read(answered_attempt, key, token)
    assert found is not None
    assert (found.key, found.attempt.number, found.is_home) == (key, key.number, False)
    assert await database.read(answered_attempt, key, "0" * 64) is None
    assert await database.read(answered_attempt, AttemptKey("task_none", 1), token) is None


@pytest.mark.parametrize("ended", [False, True])
async def test_what_is_read_from_a_file_is_acted_on_now(database: Database, ended: bool) -> None:
    _, key = await submitted(database)
    if ended:
        await database.write(cancel_task, TENANT, key.task_id, LATER)
    await database.write(learn_from_file, key, Fact(outcome=Outcome.SUCCEEDED), LATER)
    assert (await known(database, key)).outcome is Outcome.SUCCEEDED
    assert await database.read(called_late) == ([key.task_id] if ended else [])
    await database.write(learn_from_file, AttemptKey("task_none", 1), Fact(outcome=Outcome.SUCCEEDED), LATER)


async def test_a_kept_answer_that_is_gone_counts_no_more(database: Database) -> None:
    _, key = await submitted(database)
    head = AnswerHead(status=200, size_bytes=10, time=LATER, kept=True)
    await database.write(learn, key, Fact(outcome=Outcome.UNKNOWN, answer=head))
    await database.write(answer_is_gone, key)
    assert (await known(database, key)).answer == replace(head, kept=False)


async def test_what_a_kept_answer_held_is_told_at_once(database: Database) -> None:
    """P31: nobody sees its pictures beside a call of unknown outcome, or a success whose answer is kept."""
    claimed, key = await submitted(database)
    head = AnswerHead(status=200, size_bytes=10, time=LATER, kept=True)
    await database.write(learn, key, Fact(outcome=Outcome.UNKNOWN, answer=head))
    await database.write(cancel_task, TENANT, claimed.task.task_id, LATER)
    late, fact = (image("late"),), Fact(outcome=Outcome.SUCCEEDED, answer=replace(head, kept=False))
    await database.write(learn_from_kept_file, key, fact, late, LATER)
    assert await known(database, key) == replace(
        attempt(), outcome=Outcome.SUCCEEDED, answer=fact.answer, late_images=late
    )
    await database.write(learn_from_kept_file, AttemptKey("task_none", 1), fact, late, LATER)


async def test_a_kept_answer_of_an_open_task_is_acted_on_now(database: Database) -> None:
    _, key = await submitted(database)
    head = AnswerHead(status=200, size_bytes=10, time=LATER, kept=True)
    await database.write(learn, key, Fact(outcome=Outcome.UNKNOWN, answer=head))
    await database.write(learn_from_kept_file, key, Fact(outcome=Outcome.SUCCEEDED), (), LATER)
    found = await known(database, key)
    assert (found.outcome, found.answer) == (Outcome.SUCCEEDED, replace(head, kept=False))


async def test_a_fact_is_kept_where_its_decision_is_not_made(database: Database) -> None:
    """P8: without the lease nothing is decided, but what was learnt is learnt."""
    claimed, key = await submitted(database)
    cancelled = await database.write(cancel_task, TENANT, key.task_id, LATER)
    fact = Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v")
    enter = partial(transitions.enter, stage=Stage.WAITING)
    assert await database.write(learn_and_change, claimed.lease, key, fact, enter, LATER) is None
    assert (await known(database, key)).vendor_task_id == "v"
    task = await database.read(get_task, TENANT, key.task_id)
    assert task is not None
    assert task.seq == cancelled.seq


async def test_a_vendors_id_is_not_rewritten(database: Database) -> None:
    _, key = await submitted(database)
    await database.write(learn, key, Fact(outcome=Outcome.ACCEPTED, vendor_task_id="first"))
    await database.write(learn, key, Fact(outcome=Outcome.SUCCEEDED, vendor_task_id="second"))
    assert (await known(database, key)).vendor_task_id == "first"


async def test_not_even_by_a_statement_that_tries(database: Database) -> None:
    _, key = await submitted(database)
    await database.write(learn, key, Fact(outcome=Outcome.ACCEPTED, vendor_task_id="first"))

    def rewrite(connection: Connection, vendor_task_id: str | None) -> None:
        connection.execute(update(ATTEMPT).values(vendor_task_id=vendor_task_id))

    for value in ("second", None):
        with pytest.raises(IntegrityError):
            await database.write(rewrite, value)


async def test_one_vendor_id_names_one_attempt(database: Database) -> None:
    """F46: the second owner is told; another provider's ids are its own."""
    _, first = await submitted(database)
    _, second = await submitted(database)
    fact = Fact(outcome=Outcome.ACCEPTED, vendor_task_id="v")
    await database.write(learn, first, fact)
    with pytest.raises(VendorTaskTaken):
        await database.write(learn, second, fact)
    assert await known(database, second) == attempt()
    elsewhere = await claimed_task(database)
    await database.write(begin_attempt, elsewhere.lease, attempt(provider="q"), "token", lambda s, _: s)
    await database.write(learn, AttemptKey(elsewhere.task.task_id, 1), fact)


async def test_a_token_names_one_attempt(database: Database) -> None:
    await submitted(database, token="t")
    other = await claimed_task(database)
    with pytest.raises(Taken):
        await database.write(begin_attempt, other.lease, attempt(), "t", lambda s, _: s)


async def test_the_intent_is_in_the_event_that_announces_it(database: Database) -> None:
    """P4: attempt and event are one commit, numbered from 1."""
    claimed, _ = await submitted(database)
    second = replace(attempt(2), billing=Billing.NOT_CHARGED)
    task = await database.write(begin_attempt, claimed.lease, second, "token 2", lambda s, _: s)
    assert task.status.attempts == (attempt(), second)
    assert await database.read(find_task, task.task_id) == task


# Callbacks


async def test_a_callback_tells_the_forgotten_id_and_asks_for_a_poll(database: Database, feed: Feed) -> None:
    claimed, key = await submitted(database, token="t")
    await database.write(learn, key, Fact(outcome=Outcome.UNKNOWN))
    await database.write(change, claimed.lease, lambda s, _: s, NOW, not_before=NOW + timedelta(hours=1))
    heard: list[Change] = []
    feed.listen(heard.extend)
    assert await database.write(call_back, "p", "t", "v", LATER)
    assert await known(database, key) == replace(attempt(), outcome=Outcome.ACCEPTED, vendor_task_id="v")
    assert [(change.task_id, change.called_back) for change in heard] == [(key.task_id, True)]
    assert [each.task.task_id for each in await claim_all(database, LATER)] == [key.task_id]


@pytest.mark.parametrize(("provider", "token"), [("p", "T"), ("q", "t"), ("p", ""), ("", "t")])
async def test_a_callback_with_another_token_is_not_ours(
    database: Database, provider: str, token: str
) -> None:
    """F60: no token, a bad token, the right token at the wrong vendor."""
    _, key = await submitted(database, token="t")
    assert not await database.write(call_back, provider, token, "v", LATER)
    assert await known(database, key) == attempt()


async def test_callbacks_repeat_without_effect(database: Database) -> None:
    """F57, F58: duplicate, late, and of a task that ended; the first id stays."""
    claimed, key = await submitted(database, token="t")
    for vendor_id in ("v", "v", "w"):
        assert await database.write(call_back, "p", "t", vendor_id, LATER)
    await database.write(change, claimed.lease, finish, LATER)
    before = await database.read(find_task, key.task_id)
    assert await database.write(call_back, "p", "t", "x", LATER + LEASE)
    assert await database.read(find_task, key.task_id) == before
    assert before.status.attempts[0].vendor_task_id == "v"


async def test_a_callback_that_names_anothers_work_is_told_and_changes_nothing(database: Database) -> None:
    _, first = await submitted(database, token="1")
    _, second = await submitted(database, token="2")
    await database.write(call_back, "p", "1", "v", LATER)
    with pytest.raises(VendorTaskTaken):
        await database.write(call_back, "p", "2", "v", LATER)
    assert (await known(database, first)).vendor_task_id == "v"
    assert await known(database, second) == attempt()


async def test_a_callback_long_after_the_end_is_not_heard(database: Database) -> None:
    """PROMISES §7: its token may lie in some vendor's log for ever."""
    claimed, _ = await submitted(database, token="t")
    later = LATER + CALLBACK_LIFE
    assert await database.write(call_back, "p", "t", "v", later + LEASE)  # not ended: however old it is
    await database.write(change, claimed.lease, finish, LATER)
    assert await database.write(call_back, "p", "t", "v", later)
    assert not await database.write(call_back, "p", "t", "v", later + timedelta(seconds=1))


# Late results


async def test_what_a_vendor_called_back_about_is_marked_until_it_is_collected(database: Database) -> None:
    """A call that comes meanwhile is another one, also in the same microsecond."""
    claimed, key = await submitted(database, token="t")
    await database.write(call_back, "p", "t", "v", LATER)
    assert await database.read(late_callback, key.task_id) is None  # it is polled by who works on it
    await database.write(change, claimed.lease, finish, LATER)
    assert await database.read(late_callback, key.task_id) is None
    calls = []
    for _ in range(2):
        await database.write(call_back, "p", "t", "v", LATER)
        assert await database.read(called_late) == [key.task_id]
        calls.append(await database.read(late_callback, key.task_id))
    first, second = calls
    assert first is not None
    assert second is not None
    assert first.task.status.attempts[0].vendor_task_id == "v"
    await database.write(late_collected, first)
    assert await database.read(called_late) == [key.task_id]
    await database.write(late_collected, second)
    assert await database.read(called_late) == []
    assert await database.read(late_callback, key.task_id) is None


async def test_late_images_of_a_task_that_was_forgotten_are_nobodys(database: Database) -> None:
    claimed, key = await submitted(database)
    await database.write(cancel_task, TENANT, claimed.task.task_id, LATER)
    await database.write(forget_tasks, State.CANCELLED, LATER + LEASE, 1)
    await database.write(add_late_images, key, (image("late"),), LATER)
    await database.write(learn, key, Fact(outcome=Outcome.SUCCEEDED))
    assert await database.read(late_callback, key.task_id) is None
    assert await database.read(get_image, TENANT, image("late").image_id) is None


async def test_late_images_are_kept_and_the_task_stays(database: Database) -> None:
    """P6: a result learnt after the end is the tenant's, beside the attempt; no event says so."""
    claimed, key = await submitted(database)
    ended = await database.write(cancel_task, TENANT, claimed.task.task_id, LATER)
    late = (image("late"), image("later"))
    await database.write(add_late_images, key, late, LATER)
    await database.write(add_late_images, key, late, LATER)
    task = await database.read(find_task, key.task_id)
    assert task.status.attempts == (replace(attempt(), late_images=late),)
    assert replace(task, status=replace(task.status, attempts=())) == replace(
        ended, status=replace(ended.status, attempts=())
    )
    assert await database.read(get_image, TENANT, late[1].image_id) == late[1]


async def test_facts_about_one_attempt_leave_the_others(database: Database) -> None:
    claimed, first = await submitted(database)
    await database.write(begin_attempt, claimed.lease, attempt(2), "token 2", lambda s, _: s)
    other = await create(database)
    await database.write(learn, first, Fact(outcome=Outcome.NOT_PROCESSED, billing=Billing.NOT_CHARGED))
    await database.write(learn, AttemptKey(other.task_id, 1), Fact(outcome=Outcome.FAILED))
    assert [each.outcome for each in (await database.read(find_task, first.task_id)).status.attempts] == [
        Outcome.NOT_PROCESSED,
        Outcome.IN_FLIGHT,
    ]
