"""The engine's pure rules: where to go on, when to try again, how fast (F40)."""

import asyncio
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.request import Kind, Request
from imageedit_server.core.task import Attempt, Outcome, Status, Task
from imageedit_server.engine.gates import Pace, Rate, parse_rate
from imageedit_server.engine.resume import ResumePoint, resume_point
from imageedit_server.engine.retries import MAX_BACKOFF_SECONDS, MAX_RETRY_SECONDS, retry_delay
from imageedit_server.engine.waiting import poll_delay
from imageedit_server.providers.base import SubmitSafety
from tests.engine.virtual_time import EPOCH, VirtualClock


def task_with(*attempts: Attempt) -> Task:
    return Task(
        task_id="task_x",
        tenant="t",
        request=Request(kind=Kind.EDIT_IMAGE),
        status=Status(attempts=attempts, start_time=EPOCH),
        seq=1,
        create_time=EPOCH,
        deadline=EPOCH + timedelta(days=1),
    )


def attempt(outcome: Outcome, vendor_task_id: str = "", number: int = 1) -> Attempt:
    return Attempt(
        number=number, provider="p", outcome=outcome, vendor_task_id=vendor_task_id, submit_time=EPOCH
    )


def test_a_new_task_is_submitted() -> None:
    for safety, urls in product(SubmitSafety, (False, True)):
        assert resume_point(task_with(), safety, has_result_urls=urls) is ResumePoint.SUBMIT


@pytest.mark.parametrize(
    ("outcome", "vendor_id", "safety", "urls"),
    list(product(Outcome, ("", "v"), SubmitSafety, (False, True))),
)
def test_where_to_go_on_is_told_for_every_attempt(
    outcome: Outcome, vendor_id: str, safety: SubmitSafety, urls: bool
) -> None:
    """A new call follows only an attempt that is over; an unknown one only where the vendor knows our key."""
    point = resume_point(task_with(attempt(outcome, vendor_id)), safety, has_result_urls=urls)
    if point is ResumePoint.SUBMIT:
        assert outcome in (Outcome.NOT_PROCESSED, Outcome.FAILED)
    if point is ResumePoint.SUBMIT_AGAIN:
        assert safety is SubmitSafety.NATIVE_KEY
    if vendor_id and outcome not in (Outcome.NOT_PROCESSED, Outcome.FAILED):
        assert point is ResumePoint.POLL
    if point is ResumePoint.FETCH:
        assert urls
        assert outcome is Outcome.SUCCEEDED
    unread = resume_point(
        task_with(attempt(outcome, vendor_id)), safety, has_result_urls=urls, is_unread=True
    )
    assert unread is (point if point in (ResumePoint.SUBMIT, ResumePoint.POLL) else ResumePoint.READ)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_id_that_nobody_can_ask_for_leads_to_no_poll(outcome: Outcome) -> None:
    """A vendor that answers at once may name one in an answer that proves nothing."""
    for safety, urls in product(SubmitSafety, (False, True)):
        named = resume_point(task_with(attempt(outcome, "v")), safety, has_result_urls=urls, polls=False)
        assert named is resume_point(task_with(attempt(outcome)), safety, has_result_urls=urls)


@given(st.floats(allow_nan=False), st.integers(0, 3000), st.integers(-(10**6), 10**6))
def test_a_retry_is_neither_too_soon_nor_too_late(said: float, tries: int, waited: int) -> None:
    """Also after more tries than a float has powers of two, and when the clock was set back."""
    task = task_with(*(attempt(Outcome.NOT_PROCESSED, number=number + 1) for number in range(tries)))
    now = EPOCH + timedelta(seconds=waited)
    assert 1 <= retry_delay(task, said, now) <= MAX_RETRY_SECONDS
    assert 1 <= retry_delay(task, None, now) <= MAX_BACKOFF_SECONDS


@pytest.mark.parametrize(
    ("waited", "delay"), [(0, 1.0), (29.9, 1.0), (30, 2.0), (119, 2.0), (120, 3.0), (10**6, 3.0), (-60, 1.0)]
)
def test_polls_become_rarer(waited: float, delay: float) -> None:
    assert poll_delay((1.0, 2.0, 3.0), timedelta(seconds=waited)) == delay


# The pace


@pytest.mark.parametrize("text", ["18/10", "0/1s", "1/0s", "-1/1s", "18/10s ", "１/1s", "1.5/1s", "x"])
def test_a_pace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="18/10s"):
        parse_rate(text)


def test_a_pace_is_read() -> None:
    assert parse_rate("18/10s") == Rate(18, 10.0)
    assert parse_rate("") is None


async def test_no_window_holds_more_calls_than_it_may() -> None:
    """At most 3 in any 10 s, whoever comes when."""
    loop, times = asyncio.get_running_loop(), []
    pace = Pace(Rate(3, 10.0), VirtualClock(), loop.time)

    async def call() -> None:
        await pace.wait()
        times.append(loop.time())

    calls = []
    for number in range(12):
        calls.append(asyncio.create_task(call()))
        await asyncio.sleep(0.7 * (number % 3))
    await asyncio.gather(*calls)
    for earlier, later in zip(times, times[3:], strict=False):
        assert later - earlier > 9.999
    assert times[-1] == pytest.approx(30.0, abs=2.0)  # and no slower than it must


async def test_without_a_pace_nobody_waits() -> None:
    pace = Pace(None, VirtualClock(), asyncio.get_running_loop().time)
    for _ in range(100):
        await pace.wait()
    assert asyncio.get_running_loop().time() == 0
