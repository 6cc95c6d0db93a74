"""Where to go on with a claimed task: read off its attempts and their answers alone (DESIGN §4)."""

from enum import Enum, auto

from imageedit_server.core.task import Outcome, Task
from imageedit_server.providers.base import SubmitSafety


class ResumePoint(Enum):
    """Where work on a claimed task goes on."""

    SUBMIT = auto()
    """Begin a new attempt."""
    SUBMIT_AGAIN = auto()
    """Make the same attempt's call again: the vendor knows its key."""
    POLL = auto()
    """The vendor has it; ask how it stands."""
    READ = auto()
    """An answer came, and nothing was done about it."""
    DECIDE_UNKNOWN = auto()
    """A call was begun and nobody knows how it ended."""
    FETCH = auto()
    """The vendor finished and said where the results are."""
    GIVE_UP = auto()
    """The vendor finished, and its answer, where alone the result was, is not there any more."""


def resume_point(
    task: Task,
    safety: SubmitSafety,
    *,
    has_result_urls: bool,
    polls: bool = True,
    is_unread: bool = False,
) -> ResumePoint:
    """Read where work goes on off a task that was just claimed.

    The vendor's id of the work leads to a poll only where the adapter ``polls``: one that answers at once may
    have named an id in an answer that proves nothing, and that is kept for people to ask with.
    """
    last = task.status.attempts[-1] if task.status.attempts else None
    if last is None or last.outcome in (Outcome.NOT_PROCESSED, Outcome.FAILED):
        return ResumePoint.SUBMIT
    if last.vendor_task_id and polls:
        return ResumePoint.POLL
    if is_unread:
        return ResumePoint.READ
    if safety is SubmitSafety.NATIVE_KEY:
        return ResumePoint.SUBMIT_AGAIN
    if last.outcome is Outcome.SUCCEEDED:
        return ResumePoint.FETCH if has_result_urls else ResumePoint.GIVE_UP
    return ResumePoint.DECIDE_UNKNOWN
