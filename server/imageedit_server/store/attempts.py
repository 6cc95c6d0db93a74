"""Attempts: the intent to pay, and the facts learnt about it.

Facts are written once, by whoever learnt them, with or without a lease (P8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, false, func, insert, or_, select, update

from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.change import Change
from imageedit_server.core.charge import Billing
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.task import Attempt, Outcome, State, Status, Task
from imageedit_server.core.transitions import Transition
from imageedit_server.store import codec
from imageedit_server.store.claims import Lease
from imageedit_server.store.creation import add_images, link_images
from imageedit_server.store.database import CHANGES
from imageedit_server.store.decisions import change, owned_row
from imageedit_server.store.dialect import Taken, lock_task
from imageedit_server.store.log import LeaseLost, append_event, locked_row
from imageedit_server.store.queries import row_by_id, with_attempts
from imageedit_server.store.statements import PreparedInsert, PreparedSelect, PreparedUpdate
from imageedit_server.store.states import CALLED_LATE
from imageedit_server.store.tables import ATTEMPT, TASK, to_micros

CALLBACK_LIFE = timedelta(days=7)
"""How long after a task's end its callbacks are heard (PROMISES §7)."""


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """Names one attempt of one task."""

    task_id: str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something learnt about an attempt. What is None or empty was not learnt."""

    outcome: Outcome
    billing: Billing | None = None
    vendor_task_id: str = ""
    vendor_request_id: str = ""
    error: Failure | None = None
    end_time: datetime | None = None
    result_urls: tuple[str, ...] = ()
    answer: AnswerHead | None = None
    usage: Mapping[str, str] = field(default_factory=dict)


def begin_attempt(
    connection: Connection,
    lease: Lease,
    attempt: Attempt,
    token_sha256: str,
    transition: Transition,
) -> Task:
    """Make the intent to pay durable (P4): the attempt's row and the event that announces it."""
    row = owned_row(connection, lease)

    def announce(status: Status, now: datetime) -> Status:
        return transition(replace(status, attempts=(*status.attempts, attempt)), now)

    task = append_event(connection, row, announce, attempt.submit_time, {})
    insert_attempt(connection, row.number, attempt, token_sha256)
    return task


def insert_attempt(connection: Connection, task: int, attempt: Attempt, token_sha256: str) -> None:
    """Write the row of a new attempt of the task of this number."""
    _INSERT.run(
        connection,
        task=task,
        number=attempt.number,
        provider=attempt.provider,
        token_sha256=token_sha256,
        outcome=attempt.outcome.value,
        billing=attempt.billing.value,
        vendor_task_id=None,
        vendor_request_id="",
        error=codec.ERROR.dump(attempt.error) if attempt.error else None,
        submit_time=to_micros(attempt.submit_time),
        end_time=None,
        result_urls=None,
        late_images="[]",
        kept_bytes=0,
    )


def learn(connection: Connection, key: AttemptKey, fact: Fact) -> None:
    """Write a fact about an attempt, whoever owns the task. What contradicts ``LEARNT_AFTER`` is dropped.

    Raises ``VendorTaskTaken`` when the vendor's id is another attempt's already.
    """
    values = _columns(fact)
    try:
        _learning(fact.outcome, *sorted(values)).run(
            connection, of_task_id=key.task_id, of_number=key.number, **values
        )
    except Taken:
        raise VendorTaskTaken from None


def _columns(fact: Fact) -> dict[str, Any]:
    """Return the columns that a fact sets."""
    values: dict[str, Any] = {"outcome": fact.outcome.value}
    if fact.billing is not None:
        values["billing"] = fact.billing.value
    if fact.vendor_task_id:
        values["vendor_task_id"] = fact.vendor_task_id  # unless one is known already
    if fact.vendor_request_id:
        values["vendor_request_id"] = fact.vendor_request_id
    if fact.error is not None:
        values["error"] = codec.ERROR.dump(fact.error)
    if fact.end_time is not None:
        values["end_time"] = to_micros(fact.end_time)
    if fact.result_urls:
        values["result_urls"] = codec.URLS.dump(fact.result_urls)
    if fact.answer is not None:
        values |= _answer_columns(fact.answer)
    if fact.usage:
        values["usage"] = codec.USAGE.dump(fact.usage)
    return values


def _answer_columns(answer: AnswerHead) -> dict[str, Any]:
    kept_bytes = answer.size_bytes if answer.kept else 0
    return {"answer": codec.ANSWER.dump(answer), "kept_bytes": kept_bytes}


def note_answer(connection: Connection, key: AttemptKey, answer: AnswerHead) -> None:
    """Keep the head of an attempt's answer as it is now, whatever its outcome; a kept body counts (F88).

    Does nothing for a task that was forgotten meanwhile.
    """
    _NOTE_ANSWER.run(connection, of_task_id=key.task_id, of_number=key.number, **_answer_columns(answer))


LEARNT_AFTER: dict[Outcome, tuple[Outcome, ...]] = {
    Outcome.IN_FLIGHT: (),
    Outcome.NOT_PROCESSED: (Outcome.IN_FLIGHT,),
    Outcome.UNKNOWN: (Outcome.IN_FLIGHT,),
    Outcome.ACCEPTED: (Outcome.IN_FLIGHT, Outcome.UNKNOWN),
    Outcome.SUCCEEDED: (Outcome.IN_FLIGHT, Outcome.UNKNOWN, Outcome.ACCEPTED),
    Outcome.FAILED: (Outcome.IN_FLIGHT, Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.SUCCEEDED),
}
"""Which outcomes an outcome may replace. FAILED replaces SUCCEEDED when the result proves unusable."""


@cache
def _learning(outcome: Outcome, *columns: str) -> PreparedUpdate:
    values: dict[str, ColumnElement[Any]] = {column: bindparam(column) for column in columns}
    if "vendor_task_id" in values:
        values["vendor_task_id"] = func.coalesce(ATTEMPT.c.vendor_task_id, bindparam("vendor_task_id"))
    before = or_(false(), *(ATTEMPT.c.outcome == replaced.value for replaced in LEARNT_AFTER[outcome]))
    return PreparedUpdate(update(ATTEMPT).where(*_NAMED, before).values(values))


class VendorTaskTaken(Exception):
    """The vendor gave one id to two attempts, so that nobody can tell whose work it names (F46)."""


def learn_and_change(
    connection: Connection,
    lease: Lease,
    key: AttemptKey,
    fact: Fact,
    transition: Transition,
    now: datetime,
) -> Task | None:
    """Write a fact and, as ``change`` does, the decision that follows from it.

    The fact is written also without the lease; then no decision is made, and None returned. A result that
    comes after its task had ended is to be collected.
    """
    lock_task(connection, lease.task_id)
    learn(connection, key, fact)
    try:
        return change(connection, lease, transition, now)
    except LeaseLost:
        found = row_by_id(connection, key.task_id)
        if found is not None and found.end_time is not None and fact.outcome is Outcome.SUCCEEDED:
            hint(connection, found, now)
        return None


def learn_and_end(
    connection: Connection,
    lease: Lease,
    key: AttemptKey,
    fact: Fact,
    *,
    reach: Transition,
    end: Transition,
    images: Sequence[Image],
    now: datetime,
) -> Task | None:
    """Write a fact and two decisions that follow from it, of which the second ends the task with ``images``.

    As ``learn_and_change`` in all else.
    """
    if learn_and_change(connection, lease, key, fact, reach, now) is None:
        return None
    return change(connection, lease, end, now, images=images)


def call_back(
    connection: Connection, provider: str, token_sha256: str, vendor_task_id: str, now: datetime
) -> bool:
    """Take a vendor's callback as a hint to poll now; say whether the token is that of an attempt.

    The vendor's id is learnt from it where a crash made us forget it, and it names one. Nothing else is
    believed. The token of a task that ended ``CALLBACK_LIFE`` ago is none any more.
    """
    named = _BY_TOKEN.first(connection, token_sha256=token_sha256, provider=provider)
    found = named and locked_row(connection, named.task_id)
    if found is None or (found.end_time is not None and found.end_time < to_micros(now - CALLBACK_LIFE)):
        return False
    if not vendor_task_id and named.vendor_task_id is None:
        return True  # there is nothing to poll for yet, and the window is still open
    if vendor_task_id:
        fact = Fact(outcome=Outcome.ACCEPTED, vendor_task_id=vendor_task_id)
        learn(connection, AttemptKey(found.task_id, named.number), fact)
    hint(connection, found, now)
    return True


def hint(connection: Connection, found: Any, now: datetime) -> None:
    """Let a task be polled, or, when it has ended, its result be collected."""
    called_at = to_micros(now)
    if found.end_time is not None:
        called_at = max(called_at, found.not_before + 1)  # so that no call is taken for an earlier one
    connection.execute(update(TASK).where(TASK.c.number == found.number).values(not_before=called_at))
    connection.info[CHANGES].append(Change(found.task_id, found.seq, State(found.state), called_back=True))


def add_late_images(
    connection: Connection, key: AttemptKey, images: tuple[Image, ...], now: datetime
) -> None:
    """Keep results that were learnt after the task had ended; the task itself does not change.

    Does nothing for a task that was forgotten meanwhile.
    """
    task = locked_row(connection, key.task_id)
    if task is None:
        return
    add_images(connection, task.tenant, images, now)
    link_images(connection, task.tenant, task.number, images)
    _ADD_LATE.run(
        connection, of_task_id=key.task_id, of_number=key.number, late_images=codec.IMAGES.dump(images)
    )


def learn_late(
    connection: Connection, key: AttemptKey, fact: Fact, images: tuple[Image, ...], now: datetime
) -> None:
    """Write a fact and, as ``add_late_images`` does, what came of it; nobody sees the one alone."""
    add_late_images(connection, key, images, now)
    learn(connection, key, fact)


def called_late(connection: Connection) -> list[str]:
    """Return the finished tasks that have a result to be collected."""
    return list(connection.execute(select(TASK.c.task_id).where(CALLED_LATE)).scalars())


@dataclass(frozen=True, slots=True)
class LateCallback:
    """A finished task with a result to be collected.

    ``called_at`` is when its vendor called last, or when the task ended before that, in microseconds.
    """

    task: Task
    called_at: int


def late_callback(connection: Connection, task_id: str) -> LateCallback | None:
    """Return what is to be collected for a task; None when there is nothing, or it was forgotten."""
    row = row_by_id(connection, task_id)
    if row is None or row.end_time is None or row.not_before == 0:
        return None
    return LateCallback(with_attempts(connection, row), row.not_before)


def late_collected(connection: Connection, call: LateCallback) -> None:
    """Say that nothing is to be collected for a task any more, unless its vendor called again since."""
    collected = (TASK.c.task_id == call.task.task_id, TASK.c.not_before == call.called_at, CALLED_LATE)
    connection.execute(update(TASK).where(*collected).values(not_before=0))


def result_urls(connection: Connection, key: AttemptKey) -> tuple[str, ...]:
    """Return where the vendor said that the results of an attempt are."""
    found = _RESULT_URLS.first(connection, of_task_id=key.task_id, of_number=key.number)
    return codec.URLS.load(found.result_urls) if found and found.result_urls else ()


_NAMED = (
    ATTEMPT.c.task
    == select(TASK.c.number).where(TASK.c.task_id == bindparam("of_task_id")).scalar_subquery(),
    ATTEMPT.c.number == bindparam("of_number"),
)
_BY_TOKEN = PreparedSelect(
    select(TASK.c.task_id, ATTEMPT.c.number, ATTEMPT.c.vendor_task_id)
    .join(ATTEMPT, ATTEMPT.c.task == TASK.c.number)
    .where(ATTEMPT.c.token_sha256 == bindparam("token_sha256"), ATTEMPT.c.provider == bindparam("provider"))
)
_INSERT = PreparedInsert(insert(ATTEMPT))
_ADD_LATE = PreparedUpdate(update(ATTEMPT).where(*_NAMED).values(late_images=bindparam("late_images")))
_NOTE_ANSWER = PreparedUpdate(
    update(ATTEMPT).where(*_NAMED).values(answer=bindparam("answer"), kept_bytes=bindparam("kept_bytes"))
)
_RESULT_URLS = PreparedSelect(select(ATTEMPT.c.result_urls).where(*_NAMED))
