"""Data that are a copy: whether they are, and the tasks in it that the original may have paid for since.

A copy that ``Archive.copy_to`` made is marked. Any other is told by its place: a number that the database
remembers from its last start (``Database.place``), and that no copy has.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, delete, func, insert, select

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Attempt, Outcome, State, Status, Task
from imageedit_server.core.transitions import Transition
from imageedit_server.store.attempts import AttemptKey, Fact, insert_attempt, learn
from imageedit_server.store.log import UNOWNED, append_event, locked_row
from imageedit_server.store.queries import with_attempts
from imageedit_server.store.states import IS_OPEN
from imageedit_server.store.tables import DATA_DIR, TASK

COPIED = 0
"""What a marked copy remembers in place of where it was served from."""

RESTORED = Failure(
    reason=FailureReason.SUBMIT_OUTCOME_UNKNOWN,
    message="The server's data were restored from a copy, and the original may have paid for this task.",
)
"""What a parked task fails with."""


def last_place(connection: Connection) -> int | None:
    """Return where the data were last served from, None where that is not known."""
    found = connection.execute(select(DATA_DIR.c.lock_inode)).scalar()
    return None if found is None else int(found)


def served_from(connection: Connection, place: int) -> None:
    """Remember where the data are served from."""
    connection.execute(delete(DATA_DIR))
    connection.execute(insert(DATA_DIR).values(number=1, lock_inode=place))


def newest_task(connection: Connection) -> int:
    """Return the number of the newest task: those that come later are no copy's."""
    return int(connection.execute(select(func.coalesce(func.max(TASK.c.number), 0))).scalar_one())


def open_tasks(connection: Connection, through: int, providers: Collection[str]) -> Sequence[str]:
    """Return the open tasks of some providers, up to a number, oldest first."""
    mine = (IS_OPEN, TASK.c.number <= through, TASK.c.provider.in_(providers))
    return connection.execute(select(TASK.c.task_id).where(*mine).order_by(TASK.c.number)).scalars().all()


def park(
    connection: Connection, task_id: str, billing: Billing, token_sha256: str, now: datetime
) -> Task | None:
    """End a task that the original may have paid for, as one whose paid call nobody knows the outcome of.

    One that waits in the queue gets an attempt for the call that the original may have made: it costs
    ``billing``, and ``token_sha256`` is the hash of no token that was ever told. Returns None for a task that
    ended, or that goes on without paying: its vendor named its work, or has finished it.
    """
    row = locked_row(connection, task_id)
    if row is None or State(row.state).terminal:
        return None
    task = with_attempts(connection, row)
    last = task.status.attempts[-1] if task.status.attempts else None
    if last is not None and _goes_on_for_free(last):
        return None
    fenced = {**UNOWNED, "lease_token": row.lease_token + 1}
    if last is not None and last.outcome in (Outcome.IN_FLIGHT, Outcome.UNKNOWN):
        learn(connection, AttemptKey(task_id, last.number), Fact(outcome=Outcome.UNKNOWN, error=RESTORED))
        return append_event(connection, row, partial(transitions.fail, error=RESTORED), now, fenced)
    attempt = Attempt(
        number=len(task.status.attempts) + 1,
        provider=row.provider,
        outcome=Outcome.UNKNOWN,
        billing=billing,
        error=RESTORED,
        submit_time=now,
    )
    ended = append_event(connection, row, _failing_with(attempt), now, fenced)
    insert_attempt(connection, row.number, attempt, token_sha256)
    return ended


def _goes_on_for_free(last: Attempt) -> bool:
    if last.outcome in (Outcome.NOT_PROCESSED, Outcome.FAILED):
        return False
    return bool(last.vendor_task_id) or last.outcome is Outcome.SUCCEEDED


def _failing_with(attempt: Attempt) -> Transition:
    def fail(status: Status, now: datetime) -> Status:
        return transitions.fail(replace(status, attempts=(*status.attempts, attempt)), now, error=RESTORED)

    return fail
