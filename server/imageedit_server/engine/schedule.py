"""When to try again: pure functions of what happened so far."""

from datetime import datetime, timedelta

from imageedit_server.core.task import Outcome, Task

EARLY = timedelta(seconds=30)
MIDDLE = timedelta(minutes=2)
MIN_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 600.0
MAX_BACKOFF_SECONDS = 60.0
MAX_DOUBLINGS = 6


def poll_delay(poll_seconds: tuple[float, float, float], waited: timedelta) -> float:
    """Return the seconds until the next poll of work that was submitted ``waited`` ago (VENDORS §2.2)."""
    early, middle, late = poll_seconds
    if waited < EARLY:
        return early
    return middle if waited < MIDDLE else late


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


def seconds_until(moment: datetime, now: datetime) -> float:
    """Return the seconds from ``now`` to ``moment``, 0 when it has passed."""
    return max((moment - now).total_seconds(), 0.0)
