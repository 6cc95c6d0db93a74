"""What the tables say of a task's state, in the words of ``State``, and which rows an index leaves out.

An engine uses a partial index where a query says word for word what the index says: both take it from here.
"""

from typing import Any

from sqlalchemy import TextClause, text

from imageedit_server.core.task import OPEN_STATES, State


def _quoted(*states: State) -> str:
    return ", ".join(f"'{state.value}'" for state in states)


OPEN = f"({_quoted(*OPEN_STATES)})"
QUEUED = _quoted(State.QUEUED)

IS_QUEUED = text(f"state = {QUEUED}")
IS_RUNNING = text(f"state = {_quoted(State.RUNNING)}")
IS_OPEN = text(f"state IN {OPEN}")
WAITS = text(f"state IN {OPEN} AND not_before > 0")
"""What is true of open tasks that were made to wait."""
CALLED_LATE = text("end_time IS NOT NULL AND not_before > 0")
"""What is true of finished tasks that have a result to be collected: their vendor called back, or they ended
before what it made was home."""
HAS_ENDED = text("end_time IS NOT NULL")
HAS_USER = text("user_id <> ''")
"""Nobody lists the tasks of no user: callers that name none write a page less for each change of state."""
HAS_VENDOR_ID = text("vendor_task_id IS NOT NULL")
"""What a vendor answers at once has no id there."""


def where(condition: TextClause) -> dict[str, Any]:
    """Make an index partial on every engine."""
    return {"sqlite_where": condition, "postgresql_where": condition}
