"""What each event does to a task's status: pure functions, applied by the store inside its transaction.

A ``Transition`` takes the status and the time of its event, so that the two agree; the store may apply it
more than once before it commits. ``choose_size`` and ``warn`` are no events: they ride along with one.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from imageedit_server.core.charge import Billing, worst
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.task import Outcome, Stage, State, Status

Transition = Callable[[Status, datetime], Status]

UNKNOWN_OUTCOMES = (Outcome.IN_FLIGHT, Outcome.UNKNOWN)

DEADLINE_EXCEEDED = Failure(
    reason=FailureReason.DEADLINE_EXCEEDED,
    message="The task was not finished before its deadline.",
    retryable=True,
)
SUBMIT_OUTCOME_UNKNOWN = Failure(
    reason=FailureReason.SUBMIT_OUTCOME_UNKNOWN,
    message="The provider may or may not have taken the request; it was not sent again.",
)

UNFINISHED_PERCENT = 99
"""The most that an unfinished task shows; 100 is SUCCEEDED."""


def start(status: Status, now: datetime) -> Status:
    """A worker claimed the task."""
    start_time = status.start_time or now
    return replace(status, state=State.RUNNING, stage=Stage.PREPARING, start_time=start_time)


def give_back(status: Status, now: datetime) -> Status:
    """The attempt was not processed and must wait."""
    return replace(status, state=State.QUEUED, stage=None)


def enter(status: Status, now: datetime, stage: Stage) -> Status:
    """Work reached another stage."""
    return replace(status, stage=stage)


def progress(status: Status, now: datetime, percent: int) -> Status:
    """The provider told how far it is; what is shown never falls (F48)."""
    shown = max(status.progress_percent, min(percent, UNFINISHED_PERCENT))
    return replace(status, progress_percent=shown)


def preview(status: Status, now: datetime, image: Image) -> Status:
    """The provider sent a partial picture."""
    return replace(status, previews=(*status.previews, image))


def choose_size(status: Status, size: str) -> Status:
    """The size of the result was chosen."""
    return replace(status, size=size)


def warn(status: Status, warnings: tuple[str, ...]) -> Status:
    """Something was adapted; a sentence that is there already is not repeated by a second attempt."""
    new = tuple(dict.fromkeys((*status.warnings, *warnings)))
    return replace(status, warnings=new)


def succeed(status: Status, now: datetime, images: tuple[Image, ...]) -> Status:
    """Every result is verified and stored."""
    done = replace(status, images=images, progress_percent=100)
    return _end(done, State.SUCCEEDED, now)


def fail(status: Status, now: datetime, error: Failure) -> Status:
    """The task cannot succeed any more."""
    return _end(replace(status, error=error), State.FAILED, now)


def expire(status: Status, now: datetime, behind: Failure | None = None) -> Status:
    """The deadline passed. The reason is the doubt, where a paid call's outcome is unknown (DESIGN §4).

    For a task that waits to be tried again it is what it waits for (PROMISES §2). ``behind`` is what opened
    the breaker that the task waited behind (P15).
    """
    if doubt := _doubt(status):
        return fail(status, now, doubt)
    last = status.attempts[-1] if status.attempts else None
    if status.state is State.QUEUED and last and last.error:
        return fail(status, now, replace(last.error, retryable=True))
    if status.state is State.QUEUED and behind:
        return fail(status, now, _left_alone(behind))
    return fail(status, now, DEADLINE_EXCEEDED)


def _doubt(status: Status) -> Failure | None:
    for attempt in reversed(status.attempts):
        if attempt.outcome in UNKNOWN_OUTCOMES and attempt.billing is not Billing.NOT_CHARGED:
            return SUBMIT_OUTCOME_UNKNOWN.quoting(attempt.error)
    return None


def _left_alone(behind: Failure) -> Failure:
    why = f"The provider had failed before and was left alone. {behind.message}"
    return replace(DEADLINE_EXCEEDED, message=f"{DEADLINE_EXCEEDED.message} {why}").quoting(behind)


def cancel(status: Status, now: datetime) -> Status:
    """The caller does not want it any more."""
    return _end(status, State.CANCELLED, now)


def _end(status: Status, state: State, now: datetime) -> Status:
    billing = worst(attempt.billing for attempt in status.attempts)
    return replace(status, state=state, stage=None, billing=billing, end_time=now)
