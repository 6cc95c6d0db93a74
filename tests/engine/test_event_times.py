"""One event has one time, wherever it is told, also when the clock moves at every look at it (DESIGN §4)."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.request import Kind
from imageedit_server.core.task import Event, Outcome, State
from imageedit_server.providers.base import Job, Report
from imageedit_server.providers.outcomes import ambiguous, not_processed, refused
from tests.engine.house import TENANT, House, Vendor, finish_now
from tests.engine.virtual_time import VirtualClock

TICK = timedelta(milliseconds=1)


class RestlessClock(VirtualClock):
    """Time that passes at every look at the clock."""

    looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return super().now() + self.looks * TICK


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.engine.house.VirtualClock", RestlessClock)


def raising(error: Exception) -> Callable[[Job, Report], Awaitable[Any]]:
    async def submit(job: Job, report: Report) -> Any:
        raise error

    return submit


async def failed(vendor_task_id: str, report: Report) -> Failure:
    return Failure(reason=FailureReason.PROVIDER_FAILED, message="The provider failed.")


REFUSED = raising(refused(FailureReason.PROVIDER_REJECTED, "No."))
BUSY = raising(not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.", retry_after=5))
DOUBTFUL = raising(ambiguous("The answer is lost."))

STORIES: dict[str, dict[str, Any]] = {
    "asked until it is done": {},
    "done at once": {"submit": finish_now},
    "refused": {"submit": REFUSED},
    "taken and failed": {"poll": failed},
    "never processed": {"submit": BUSY},
    "unknown": {"submit": DOUBTFUL},
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_what_an_event_says_of_time_is_its_own_time(
    house: House, vendor: Vendor, story: dict[str, Any]
) -> None:
    for name, behaviour in story.items():
        setattr(vendor, name, behaviour)
    task_id = await house.create(timeout=timedelta(seconds=20))
    await house.ended(task_id)
    check(await house.events(task_id))


async def test_a_cancelled_task_ended_with_its_event(house: House, vendor: Vendor) -> None:
    vendor.submit = BUSY
    task_id = await house.create()
    await house.reached(task_id, State.QUEUED)
    await house.tasks.cancel(TENANT, task_id)
    check(await house.events(task_id))


async def test_an_adopted_picture_ended_with_its_event(house: House) -> None:
    task_id = await house.create(kind=Kind.DEFAULT_MODEL, model="", user_id="u", angle="front", prompt="")
    await house.ended(task_id)
    check(await house.events(task_id))


def check(events: list[Event]) -> None:
    """Hold every time in a task's log against the time of the event that tells it first."""
    first, last = events[0], events[-1]
    assert first.time == first.task.create_time
    assert last.task.status.state.terminal
    assert last.task.status.end_time == last.time
    started = next((event for event in events if event.task.status.start_time), last)
    assert started.task.status.start_time in (started.time, None)
    for index in range(len(last.task.status.attempts)):
        _check_attempt(index, [event for event in events if len(event.task.status.attempts) > index])


def _check_attempt(index: int, events: list[Event]) -> None:
    began = events[0]
    assert began.task.status.attempts[index].submit_time == began.time
    ends = [(event.time, event.task.status.attempts[index].end_time) for event in events]
    told, end = next(((time, end) for time, end in ends if end), (None, None))
    if told and end:
        together = events[-1].task.status.attempts[index].outcome is Outcome.SUCCEEDED
        assert end == told if together else end < told  # success and what follows from it are one commit
