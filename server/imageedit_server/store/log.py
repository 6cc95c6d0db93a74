"""The one way to an event: the conditional update of a task and the log entry, in one transaction."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, update

from imageedit_server.core.change import Change
from imageedit_server.core.task import TRANSITIONS, Event, State, Status, Task
from imageedit_server.core.transitions import Transition
from imageedit_server.store import codec
from imageedit_server.store.database import CHANGES, RunAgain
from imageedit_server.store.dialect import lock_task
from imageedit_server.store.queries import row_by_id, with_attempts
from imageedit_server.store.statements import PreparedInsert, PreparedUpdate
from imageedit_server.store.tables import EVENT, TASK, to_micros

_INSERT = PreparedInsert(insert(EVENT))

UNOWNED: Mapping[str, Any] = {"lease_until": None}
"""Column values of a task that nobody works on."""


class LeaseLost(Exception):
    """The task belongs to somebody else now, or is finished. The decision was not made."""


def locked_row(connection: Connection, task_id: str) -> Any | None:
    """Lock a task, then read it as ``row_by_id`` does: how a unit begins that decides about it.

    Never in one statement: after a wait for the lock, an engine would join the new task with its old event.
    """
    lock_task(connection, task_id)
    return row_by_id(connection, task_id)


def append_event(
    connection: Connection,
    row: Row[Any],
    transition: Transition,
    now: datetime,
    owner: Mapping[str, Any] = UNOWNED,
) -> Task:
    """Apply ``transition`` to the task in ``row``: one event, whose time is ``now`` all through.

    ``owner`` are the lease columns to set if it stays RUNNING. A task that ends while a result of it is not
    home is marked, as one whose vendor calls back is, until that was collected (``CALLED_LATE``).

    Raises ``RunAgain`` when the row is no longer as it was read.
    """
    before = with_attempts(connection, row)
    status = transition(before.status, now)
    if status.state not in TRANSITIONS[before.status.state]:
        raise AssertionError(f"{before.status.state} cannot become {status.state}")
    seq = row.seq + 1
    update_row(connection, row, {"seq": seq, **owner, **_moved(before.status.state, status, now)})
    task = replace(before, status=status, seq=seq)
    insert_event(connection, row.number, task, now)
    return task


def _moved(before: State, status: Status, now: datetime) -> Mapping[str, Any]:
    """Return the columns that follow from the state: none where it stays, since setting it moves indexes."""
    released = UNOWNED if status.state is not State.RUNNING else {}
    moved = {"state": status.state.value} if status.state is not before else {}
    if not status.state.terminal:
        return {**moved, **released}
    return {
        **moved,
        **released,
        "end_time": to_micros(now),
        "not_before": to_micros(now) if status.leaves_a_result() else 0,
    }


def update_row(connection: Connection, row: Row[Any], values: Mapping[str, Any]) -> None:
    """Set columns of a task, if it is still as ``row`` says (P8). Raises ``RunAgain``.

    That never happens to who locked it before reading. Whether the lease was lost, the next run will see.
    """
    statement = _update_of(*sorted(values))
    read = {"read_number": row.number, "read_seq": row.seq, "read_token": row.lease_token}
    if statement.run(connection, **read, **values) != 1:
        raise RunAgain


@cache
def _update_of(*columns: str) -> PreparedUpdate:
    return PreparedUpdate(
        update(TASK)
        .where(
            TASK.c.number == bindparam("read_number"),
            TASK.c.seq == bindparam("read_seq"),
            TASK.c.lease_token == bindparam("read_token"),
        )
        .values({column: bindparam(column) for column in columns})
    )


def insert_event(connection: Connection, number: int, task: Task, now: datetime) -> None:
    """Add the task as it is now to its log, and note the change for who is told."""
    dumped = codec.STATUS.dump(task.status)
    _INSERT.run(connection, task=number, seq=task.seq, time=to_micros(now), status=dumped)
    event = Event(seq=task.seq, time=now, task=task)
    connection.info[CHANGES].append(Change(task.task_id, task.seq, task.status.state, event))
