"""Decisions about a task. They are fenced: without the task's lease they touch nothing (P8)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from imageedit_server.core import transitions
from imageedit_server.core.errors import task_not_found
from imageedit_server.core.image import Image
from imageedit_server.core.task import State, Task
from imageedit_server.core.transitions import Transition
from imageedit_server.store.claims import Lease
from imageedit_server.store.creation import add_images, link_images
from imageedit_server.store.log import UNOWNED, LeaseLost, append_event, locked_row
from imageedit_server.store.queries import with_attempts
from imageedit_server.store.statements import PreparedUpdate
from imageedit_server.store.tables import TASK, to_micros


def change(
    connection: Connection,
    lease: Lease,
    transition: Transition,
    now: datetime,
    *,
    images: Sequence[Image] = (),
    not_before: datetime | None = None,
) -> Task:
    """Apply a decision of the task's owner. Raises ``LeaseLost`` when it owns the task no more.

    The lease ends when the task becomes terminal, goes back to the queue, or must wait until ``not_before``.
    ``images`` are given to the tenant in the same transaction.
    """
    row = owned_row(connection, lease)
    add_images(connection, row.tenant, images, now)
    link_images(connection, row.tenant, row.number, images)
    owner: dict[str, Any] = {}
    if not_before is not None:
        owner = {**UNOWNED, "not_before": to_micros(not_before)}
    return append_event(connection, row, transition, now, owner)


def owned_row(connection: Connection, lease: Lease) -> Any:
    """Lock an open task that the lease is for; return its row. Raises ``LeaseLost``."""
    row = locked_row(connection, lease.task_id)
    if row is None or row.lease_token != lease.token or State(row.state).terminal:
        raise LeaseLost
    return row


def release(connection: Connection, lease: Lease) -> None:
    """Let go of a task without changing it; another worker continues where it stands."""
    _RELEASE.run(connection, of_task_id=lease.task_id, of_token=lease.token, lease_until=None)


_RELEASE = PreparedUpdate(
    update(TASK)
    .where(TASK.c.task_id == bindparam("of_task_id"), TASK.c.lease_token == bindparam("of_token"))
    .values(lease_until=bindparam("lease_until"))
)


def cancel_task(connection: Connection, tenant: str, task_id: str, now: datetime) -> Task:
    """End a task for its caller, whoever works on it; a finished one is answered as it is."""
    row = locked_row(connection, task_id)
    if row is None or row.tenant != tenant:
        raise task_not_found()
    if State(row.state).terminal:
        return with_attempts(connection, row)
    fenced = {**UNOWNED, "lease_token": row.lease_token + 1}
    return append_event(connection, row, transitions.cancel, now, fenced)
