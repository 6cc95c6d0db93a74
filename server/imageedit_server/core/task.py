"""A task (DESIGN §4): the nouns, the states and who moves a task out of each.

A task is its ``Request`` (fixed when it is created) and its ``Status`` (what can change). Every change
makes a new ``Status`` under the next ``seq`` and is one event of the task.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.charge import Billing
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.request import Request

TASK_ID = re.compile(r"task_[0-9a-f]{32}")


class State(StrEnum):
    """Where a task stands."""

    QUEUED = "QUEUED"
    """Durable, waits for a place. A worker claims it; CancelTask or its deadline ends it."""
    RUNNING = "RUNNING"
    """A worker moves it on, gives it back, or ends it; CancelTask or its deadline ends it."""
    SUCCEEDED = "SUCCEEDED"
    """Every result is here, verified. Deleted ``retention.succeeded_days`` after its end (0: never)."""
    FAILED = "FAILED"
    """Its error says why. Deleted ``retention.failed_days`` after its end (0: never)."""
    CANCELLED = "CANCELLED"
    """CancelTask ended it. Deleted ``retention.cancelled_days`` after its end (0: never)."""

    @property
    def terminal(self) -> bool:
        """Whether a task in this state never changes again."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.RUNNING, State.QUEUED, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Which state may follow which. RUNNING follows itself when the stage or the progress changes."""

OPEN_STATES = tuple(state for state in State if not state.terminal)


class Stage(StrEnum):
    """How far RUNNING is."""

    PREPARING = "PREPARING"
    """Free and repeatable work. Ends with the commit of the intent to pay."""
    SUBMITTING = "SUBMITTING"
    """The paid call is under way. Its outcome ends the stage."""
    WAITING = "WAITING"
    """The vendor works. A poll ends the stage."""
    SUBMIT_UNKNOWN = "SUBMIT_UNKNOWN"
    """Nobody knows whether the vendor took the call. A callback or the end of the window ends it."""
    DOWNLOADING = "DOWNLOADING"
    """The results are copied home and verified, then the task succeeds."""


class Outcome(StrEnum):
    """What is known of an attempt's paid call."""

    IN_FLIGHT = "IN_FLIGHT"
    ACCEPTED = "ACCEPTED"
    NOT_PROCESSED = "NOT_PROCESSED"
    UNKNOWN = "UNKNOWN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def ends(self) -> bool:
        """Whether an attempt of this outcome has an ``end_time``."""
        return self in (Outcome.NOT_PROCESSED, Outcome.SUCCEEDED, Outcome.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One paid call to one provider. ``number`` counts from 1 within its task.

    ``billing`` follows the ``Charge`` of its provider as the outcome becomes known. ``answer`` is None until
    the vendor sent something. ``usage`` has the vendor's own figures, as decimal strings: ``total_tokens``,
    ``credits``, ``cost_usd``.
    """

    number: int
    provider: str
    outcome: Outcome = Outcome.IN_FLIGHT
    billing: Billing = Billing.MAY_HAVE_BEEN_CHARGED
    vendor_task_id: str = ""
    vendor_request_id: str = ""
    error: Failure | None = None
    submit_time: datetime
    end_time: datetime | None = None
    late_images: tuple[Image, ...] = ()
    answer: AnswerHead | None = None
    usage: Mapping[str, str] = field(default_factory=dict, hash=False)  # so that attempts can be hashed


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What can change of a task. ``size`` is the size chosen for it, empty until it is."""

    state: State = State.QUEUED
    stage: Stage | None = None
    progress_percent: int = 0
    size: str = ""
    images: tuple[Image, ...] = ()
    previews: tuple[Image, ...] = ()
    error: Failure | None = None
    billing: Billing | None = None
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None

    def all_images(self) -> tuple[Image, ...]:
        """Return every picture that came of the task, late ones too."""
        late = (image for attempt in self.attempts for image in attempt.late_images)
        return (*self.images, *self.previews, *late)

    def leaves_a_result(self) -> bool:
        """Whether the task ended before its vendor's result was home, so that it is to be collected (P6).

        Of a failed task that is also what an attempt that was accepted may yet bring. Of a cancelled one it
        is what the vendor has reported: who cancels does not want what may yet come, and a callback tells of
        it all the same.
        """
        outcomes = {attempt.outcome for attempt in self.attempts if not attempt.late_images}
        if self.state is State.FAILED:
            return not outcomes.isdisjoint((Outcome.ACCEPTED, Outcome.SUCCEEDED))
        return self.state is State.CANCELLED and Outcome.SUCCEEDED in outcomes


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task as of its event ``seq``. ``tenant`` owns it and is never shown."""

    task_id: str
    tenant: str
    request: Request
    status: Status
    seq: int
    create_time: datetime
    deadline: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One numbered change; ``task`` is the task as of ``seq``."""

    seq: int
    time: datetime
    task: Task


def new_task_id() -> str:
    """Return an unguessable task id: 128 random bits."""
    return f"task_{secrets.token_hex(16)}"
