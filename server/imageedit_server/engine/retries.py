"""The retry rule: what is tried again after a call that brought nothing, and when (PROMISES §2).

    proved unprocessed   given back to the queue, after ``retry_delay``, until the task's deadline
    outcome unknown      the same attempt again where the vendor knows its key (``NATIVE_KEY``), after
                         ``retry_delay``; else never, unless the caller asked for it: ``may_resubmit``
    refused, or failed   never
    a poll, a download   again and again, as ``waiting`` and ``results`` say: both are free

``providers.outcomes`` judges which of these an answer is.
"""

from datetime import datetime

from imageedit_server.core.request import OnUnknown
from imageedit_server.core.task import Outcome, Task
from imageedit_server.core.transitions import UNKNOWN_OUTCOMES

MIN_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 600.0
MAX_BACKOFF_SECONDS = 60.0
MAX_DOUBLINGS = 6


def retry_delay(task: Task, retry_after_seconds: float | None, now: datetime) -> float:
    """Return the seconds until a call that brought nothing is followed by another (PROMISES §2, F40).

    The vendor's word counts, within bounds. Without one the wait doubles with each attempt, the one that just
    ended included, and with each repeat of the same one.
    """
    if retry_after_seconds is not None:
        return min(max(retry_after_seconds, MIN_RETRY_SECONDS), MAX_RETRY_SECONDS)
    attempts = task.status.attempts
    tries = sum(attempt.outcome in (Outcome.NOT_PROCESSED, Outcome.IN_FLIGHT) for attempt in attempts)
    began = attempts[-1].submit_time if attempts else task.status.start_time or now
    doubled = 2.0 ** min(max(tries - 1, 0), MAX_DOUBLINGS)
    return min(max(doubled, (now - began).total_seconds()), MAX_BACKOFF_SECONDS)


def may_resubmit(task: Task) -> bool:
    """Whether the caller agreed to another paid call, and this would be the second at most."""
    doubts = sum(attempt.outcome in UNKNOWN_OUTCOMES for attempt in task.status.attempts)
    return task.request.on_unknown is OnUnknown.RESUBMIT and doubts == 1
