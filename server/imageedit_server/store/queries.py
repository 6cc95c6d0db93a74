"""What is read: small functions that take a ``Connection``, the same for every database."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, literal, select

from imageedit_server.core.errors import task_not_found
from imageedit_server.core.image import Image
from imageedit_server.core.task import Event, State, Task
from imageedit_server.runtime.recent import Recent
from imageedit_server.store.rows import KnownEvents, attempt_of, events_of, image_of, task_of
from imageedit_server.store.statements import PreparedSelect
from imageedit_server.store.states import HAS_USER
from imageedit_server.store.tables import ATTEMPT, EVENT, IMAGE, TASK

_NOW = select(TASK, EVENT.c.status).join(EVENT, (EVENT.c.task == TASK.c.number) & (EVENT.c.seq == TASK.c.seq))
_BY_ID = PreparedSelect(_NOW.where(TASK.c.task_id == bindparam("task_id")))
_BY_TENANT_AND_ID = PreparedSelect(
    _NOW.where(TASK.c.task_id == bindparam("task_id"), TASK.c.tenant == bindparam("tenant"))
)
_ATTEMPTS = PreparedSelect(
    select(ATTEMPT).where(ATTEMPT.c.task == bindparam("task")).order_by(ATTEMPT.c.number)
)
_FIXED = PreparedSelect(
    select(*(column for column in TASK.c if column is not TASK.c.seq)).where(
        TASK.c.task_id == bindparam("task_id")
    )
)
_LOGGED = PreparedSelect(
    select(EVENT.c.seq, EVENT.c.time, EVENT.c.status)
    .where(EVENT.c.task == bindparam("task"), EVENT.c.seq > bindparam("after_seq"))
    .order_by(EVENT.c.seq)
    .limit(bindparam("most"))
)
_ONE_IMAGE = (IMAGE.c.tenant == bindparam("tenant"), IMAGE.c.image_id == bindparam("image_id"))
_IMAGE = PreparedSelect(select(IMAGE).where(*_ONE_IMAGE))
_HAS_IMAGE = PreparedSelect(select(literal(1).label("found")).where(*_ONE_IMAGE))


def row_by_id(connection: Connection, task_id: str) -> Any | None:
    """Return the columns of task with the status as of its last event, of any tenant."""
    return _BY_ID.first(connection, task_id=task_id)


def get_task(connection: Connection, tenant: str, task_id: str) -> Task | None:
    """Return the task as it is now, with what its attempts learnt since the last event."""
    row = _BY_TENANT_AND_ID.first(connection, tenant=tenant, task_id=task_id)
    return None if row is None else with_attempts(connection, row)


def look_for_task(connection: Connection, task_id: str) -> Task | None:
    """Return a task of any tenant; None when it was forgotten."""
    row = row_by_id(connection, task_id)
    return None if row is None else with_attempts(connection, row)


def find_task(connection: Connection, task_id: str) -> Task:
    """Return a task that is known to exist, of any tenant."""
    row = row_by_id(connection, task_id)
    assert row is not None
    return with_attempts(connection, row)


def with_attempts(connection: Connection, row: Row[Any]) -> Task:
    """Build the task of a row; facts about its attempts may be newer than its last event."""
    task = task_of(row)
    if not task.status.attempts:
        return task
    attempts = tuple(map(attempt_of, _ATTEMPTS.all(connection, task=row.number)))
    return replace(task, status=replace(task.status, attempts=attempts))


def list_tasks(
    connection: Connection,
    tenant: str,
    *,
    user_id: str,
    states: Sequence[State],
    before: int | None,
    most: int,
) -> list[tuple[int, Task]]:
    """Return up to ``most`` tasks older than number ``before``, newest first, with their numbers.

    Each state is one walk along an index, so the cost does not grow with the number of stored tasks.
    """
    rows = [row for state in states for row in _list_state(connection, tenant, user_id, state, before, most)]
    newest = sorted(rows, key=lambda row: row.number, reverse=True)[:most]
    return [(row.number, with_attempts(connection, row)) for row in newest]


def _list_state(
    connection: Connection, tenant: str, user_id: str, state: State, before: int | None, most: int
) -> Sequence[Row[Any]]:
    query: Select[Any] = _NOW.where(TASK.c.tenant == tenant, TASK.c.state == state.value)
    if user_id:
        query = query.where(HAS_USER, TASK.c.user_id == user_id)
    if before is not None:
        query = query.where(TASK.c.number < before)
    return connection.execute(query.order_by(TASK.c.number.desc()).limit(most)).all()


def events_after(
    connection: Connection, task_id: str, after_seq: int, most: int, known: KnownEvents | None = None
) -> list[Event]:
    """Return the next events of a task, oldest first. Raises TASK_NOT_FOUND for one that was forgotten.

    Those that are ``known`` are taken from there, and the others are then known too.
    """
    fixed = _FIXED.first(connection, task_id=task_id)
    logged = fixed and _LOGGED.all(connection, task=fixed.number, after_seq=after_seq, most=most)
    if not logged and row_by_id(connection, task_id) is None:
        raise task_not_found()
    return events_of(fixed, logged, Recent(0) if known is None else known) if logged else []


def get_image(connection: Connection, tenant: str, image_id: str) -> Image | None:
    """Return an image that the tenant may see."""
    row = _IMAGE.first(connection, tenant=tenant, image_id=image_id)
    return None if row is None else image_of(row)


def has_image(connection: Connection, tenant: str, image_id: str) -> bool:
    """Whether there is an image that the tenant may see."""
    return _HAS_IMAGE.first(connection, tenant=tenant, image_id=image_id) is not None
