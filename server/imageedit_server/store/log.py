"""The one way to an event: the conditional update of a task and the log entry, in one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, update

from imageedit_server.core.task import TRANSITIONS, State, Status, Task
from imageedit_server.store import codec
from imageedit_server.store.feed import CHANGES, Change
from imageedit_server.store.queries import with_attempts
from imageedit_server.store.tables import EVENT, TASK, to_micros

UNOWNED: Mapping[str, Any] = {"lease_until": None}
"""Column values of a task that nobody works on."""


class LeaseLost(Exception):
    """The task belongs to somebody else now, or is finished. The decision was not made."""


def append_event(
    connection: Connection,
    row: Row[Any],
    step: Callable[[Status], Status],
    now: datetime,
    owner: Mapping[str, Any] = UNOWNED,
) -> Task:
    """Apply ``step`` to the task in ``row``. ``owner`` are the lease columns to set if it stays RUNNING.

    Raises ``LeaseLost`` when the row is no longer as it was read.
    """
    before = with_attempts(connection, row)
    status = step(before.status)
    if status.state not in TRANSITIONS[before.status.state]:
        raise AssertionError(f"{before.status.state} cannot become {status.state}")
    seq = row.seq + 1
    released = UNOWNED if status.state is not State.RUNNING else {}
    update_row(connection, row, {"state": status.state.value, "seq": seq, **owner, **released})
    insert_event(connection, row.number, row.task_id, seq, status, now)
    return replace(before, status=status, seq=seq)


def update_row(connection: Connection, row: Row[Any], values: Mapping[str, Any]) -> None:
    """Set columns of a task, if it is still as ``row`` says. Raises ``LeaseLost``."""
    result = connection.execute(
        update(TASK)
        .where(
            TASK.c.number == row.number,
            TASK.c.seq == row.seq,
            TASK.c.lease_token == row.lease_token,
        )
        .values(**values)
    )
    if result.rowcount != 1:
        raise LeaseLost


def insert_event(
    connection: Connection, number: int, task_id: str, seq: int, status: Status, now: datetime
) -> None:
    """Add an entry to the log and note the change for the feed."""
    connection.execute(
        insert(EVENT),
        {"task": number, "seq": seq, "time": to_micros(now), "status": codec.STATUS.dump(status)},
    )
    connection.info[CHANGES].append(Change(task_id, seq, status.state))
