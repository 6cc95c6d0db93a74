"""What is told of tasks to those who run the server: a line for every event, and counts."""

import logging
from collections.abc import Iterable
from datetime import datetime
from functools import cache

from imageedit_server.core.change import Change
from imageedit_server.core.task import Task
from imageedit_server.store.backlog import Backlog, backlog
from imageedit_server.store.database import Database
from imageedit_server.telemetry.logs import tell
from imageedit_server.telemetry.metrics import (
    OLDEST_QUEUED_SECONDS,
    TASK_SECONDS,
    TASKS_ACCEPTED,
    TASKS_ENDED,
    TASKS_OPEN,
)

_ACCEPTED, _ENDED, _SECONDS = (
    cache(TASKS_ACCEPTED.labels),
    cache(TASKS_ENDED.labels),
    cache(TASK_SECONDS.labels),
)

_log = logging.getLogger(__name__)


def report(changes: Iterable[Change]) -> None:
    """Log every event of a task, and count the first and the last one."""
    for change in changes:
        if change.event is not None:
            _log_event(change.event.task)
            _count(change.event.task)


def _log_event(task: Task) -> None:
    status = task.status
    fields = {
        "tenant": task.tenant,
        "task_id": task.task_id,
        "seq": task.seq,
        "state": status.state.value,
        "stage": status.stage and status.stage.value,
        "attempt": len(status.attempts) or None,
        "provider": task.request.provider,
        "reason": status.error and status.error.reason.value,
    }
    tell(_log, "task event", fields)


def _count(task: Task) -> None:
    status, provider = task.status, task.request.provider
    if task.seq == 1:
        _ACCEPTED(provider, task.request.kind.value).inc()
    if status.state.terminal:
        reason = status.error.reason.value if status.error else ""
        _ENDED(provider, status.state.value, reason).inc()
        seconds = ((status.end_time or task.create_time) - task.create_time).total_seconds()
        _SECONDS(provider, status.state.value).observe(seconds)


async def measure_backlog(database: Database, now: datetime) -> None:
    """Bring the gauges of what is not finished up to date."""
    found = await database.read(backlog)
    TASKS_OPEN.clear()
    OLDEST_QUEUED_SECONDS.clear()
    for each in found:
        _show(each, now)


async def count_open(database: Database) -> int:
    """Return how many tasks are not finished."""
    return sum(each.queued + each.running for each in await database.read(backlog))


def _show(found: Backlog, now: datetime) -> None:
    TASKS_OPEN.labels(found.provider, "QUEUED").set(found.queued)
    TASKS_OPEN.labels(found.provider, "RUNNING").set(found.running)
    age = (now - found.oldest_queued).total_seconds() if found.oldest_queued else 0
    OLDEST_QUEUED_SECONDS.labels(found.provider).set(max(age, 0))
