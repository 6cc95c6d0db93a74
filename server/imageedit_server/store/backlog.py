"""How much there is to do: counted along the indexes of open tasks, so finished ones cost nothing."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from imageedit_server.store.states import IS_QUEUED, IS_RUNNING
from imageedit_server.store.tables import TASK, from_micros


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """The open tasks of one provider. ``oldest_queued`` is when the first that waits was created."""

    provider: str
    queued: int
    running: int
    oldest_queued: datetime | None


def backlog(connection: Connection) -> list[Backlog]:
    """Return the backlog of every provider that has one."""
    running: Counter[str] = Counter({row.provider: row.tasks for row in connection.execute(_RUNNING)})
    queued = {row.provider: row for row in connection.execute(_QUEUED)}
    return [
        Backlog(
            provider=provider,
            queued=queued[provider].tasks if provider in queued else 0,
            running=running[provider],
            oldest_queued=_created(connection, queued[provider].first) if provider in queued else None,
        )
        for provider in sorted({*running, *queued})
    ]


_RUNNING = select(TASK.c.provider, func.count().label("tasks")).where(IS_RUNNING).group_by(TASK.c.provider)
_QUEUED = (
    select(TASK.c.provider, func.count().label("tasks"), func.min(TASK.c.number).label("first"))
    .where(IS_QUEUED)
    .group_by(TASK.c.provider)
)


def _created(connection: Connection, number: int) -> datetime:
    query = select(TASK.c.create_time).where(TASK.c.number == number)
    return from_micros(connection.execute(query).scalar_one())
