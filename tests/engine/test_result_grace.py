"""What a vendor has made outlives the deadline: in its grace it ends the task, after that it is late."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Outcome, Stage, State, Task
from imageedit_server.engine import dispatcher
from imageedit_server.providers.base import (
    Accepted,
    Finished,
    InProgress,
    Job,
    Output,
    Report,
    VendorTaskUnknown,
)
from imageedit_server.store.attempts import called_late
from tests.engine.house import (
    DONE,
    MINUTE,
    RESULT,
    RESULT_ID,
    TENANT,
    Door,
    House,
    Vendor,
    accept,
    finish_now,
    finish_poll,
)

DEADLINE = 2 * MINUTE
URL = "https://cdn.test/1"
BY_URL = Finished(outputs=(Output(url=URL),))
SECOND = timedelta(seconds=1)


async def answer_with_a_url(job: Job, report: Report) -> Finished:
    return BY_URL


async def poll_with_a_url(vendor_task_id: str, report: Report) -> Finished:
    return BY_URL


async def never(vendor_task_id: str, report: Report) -> InProgress:
    return InProgress()


WAYS: dict[str, Callable[[Vendor], None]] = {
    "bytes in the answer": lambda vendor: setattr(vendor, "submit", finish_now),
    "a URL in the answer": lambda vendor: setattr(vendor, "submit", answer_with_a_url),
    "bytes at a poll": lambda vendor: setattr(vendor, "poll", finish_poll),
    "a URL at a poll": lambda vendor: setattr(vendor, "poll", poll_with_a_url),
}
BY_A_URL = [way for way in WAYS if "URL" in way]


@pytest.fixture
def hours_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store be looked at for what no hint tells every few minutes only."""
    monkeypatch.setattr(dispatcher, "SWEEP_SECONDS", 300.0)


@pytest.fixture
def full_until(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Let the disk be too full for results until some moment."""
    add = house.library.add
    end = house.clock.now()

    async def troubled(chunks: AsyncIterable[bytes], *, field: str, **options: Any) -> Any:
        if field == "result" and house.clock.now() < end:
            raise Refusal(Reason.STORAGE_FULL, "Full.")
        return await add(chunks, field=field, **options)

    def until(moment: datetime) -> None:
        nonlocal end
        end = moment

    monkeypatch.setattr(house.library, "add", troubled)
    return until


async def begun(house: House, way: str) -> Task:
    """A task whose vendor finishes at once."""
    house.vendor.files[URL] = RESULT
    WAYS[way](house.vendor)
    return await house.get(await house.create(timeout=DEADLINE))


async def late_images(house: House, task: Task) -> list[str]:
    attempts = (await house.get(task.task_id)).status.attempts
    return [image.image_id for attempt in attempts for image in attempt.late_images]


async def marked(house: House) -> list[str]:
    found: list[str] = await house.database.read(called_late)
    return found


def failed_in_time(task: Task, after: timedelta) -> None:
    """At its deadline and so much later, and paid."""
    assert task.status.state is State.FAILED
    assert task.status.error == transitions.DEADLINE_EXCEEDED
    assert task.status.end_time == task.deadline + after


@pytest.mark.parametrize("way", WAYS)
async def test_within_the_grace_the_task_succeeds(
    house: House, full_until: Callable[[datetime], None], way: str
) -> None:
    task = await begun(house, way)
    full_until(task.deadline + house.result_grace / 2)
    done = await house.ended(task.task_id)
    assert [image.image_id for image in done.status.images] == [RESULT_ID]
    assert done.status.end_time is not None
    assert task.deadline < done.status.end_time < task.deadline + house.result_grace
    assert await marked(house) == []
    assert len(house.vendor.paid) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_after_the_grace_the_result_is_late(
    tmp_path: Path, vendor: Vendor, full_until: Callable[[datetime], None], house: House, way: str
) -> None:
    task = await begun(house, way)
    full_until(task.deadline + house.result_grace + 5 * SECOND)
    done = await house.ended(task.task_id)
    failed_in_time(done, house.result_grace)
    assert done.status.billing is Billing.CHARGED
    await house.clock.sleep(60)
    assert await late_images(house, task) == [RESULT_ID]
    assert await marked(house) == []
    assert (await house.get(task.task_id)).seq == done.seq
    assert len(vendor.paid) == 1


@pytest.mark.usefixtures("hours_are_short")
async def test_what_is_held_in_memory_is_tried_for_hours(
    house: House, full_until: Callable[[datetime], None]
) -> None:
    """It exists nowhere else; and no place of the engine is taken by it."""
    task = await begun(house, "bytes in the answer")
    full_until(task.deadline + timedelta(hours=1))
    await house.ended(task.task_id)
    await house.clock.sleep(60)
    assert house.dispatcher.under_way == {}
    assert await late_images(house, task) == []
    await house.clock.sleep(timedelta(hours=2).total_seconds())
    assert await late_images(house, task) == [RESULT_ID]
    assert not house.dispatcher.late.holds(task.task_id)


@pytest.mark.parametrize("way", ["a URL in the answer", "bytes at a poll"])
@pytest.mark.usefixtures("hours_are_short")
async def test_no_trouble_of_ours_is_too_long(
    house: House, full_until: Callable[[datetime], None], way: str
) -> None:
    """The patience with a vendor ends; that with our own disk does not."""
    task = await begun(house, way)
    full_until(task.deadline + timedelta(hours=3))
    await house.ended(task.task_id)
    await house.clock.sleep(timedelta(hours=4).total_seconds())
    assert await late_images(house, task) == [RESULT_ID]
    assert await marked(house) == []


@pytest.mark.usefixtures("hours_are_short")
async def test_a_late_result_that_is_gone_is_not_waited_for(house: House) -> None:
    """What nobody can be asked for again is not asked for again."""
    task = await begun(house, "a URL in the answer")
    house.vendor.files[URL] = 503
    await house.ended(task.task_id)
    house.vendor.files[URL] = 410
    await house.clock.sleep(timedelta(hours=1).total_seconds())
    assert await marked(house) == []
    assert house.dispatcher.late.under_way == set()
    assert not house.dispatcher.late.holds(task.task_id)


@pytest.mark.parametrize("way", BY_A_URL)
async def test_a_restart_goes_on_with_what_is_late(
    house: House, full_until: Callable[[datetime], None], way: str
) -> None:
    """The store remembers that there is something to collect, and where."""
    task = await begun(house, way)
    full_until(task.deadline + timedelta(hours=1))
    await house.ended(task.task_id)
    await house.clock.sleep(1)
    assert await marked(house) == [task.task_id]
    await house.kill()
    full_until(house.clock.now())
    await house.restart()
    await house.clock.sleep(1)
    assert await late_images(house, task) == [RESULT_ID]
    assert await marked(house) == []


@pytest.mark.parametrize("way", BY_A_URL)
@pytest.mark.parametrize("away", [30 * SECOND, 2 * MINUTE], ids=["in its grace", "after it"])
async def test_the_grace_is_measured_from_the_deadline(
    house: House, full_until: Callable[[datetime], None], way: str, away: timedelta
) -> None:
    """Also for a server that was away at the deadline, whose first look at the store ends what is overdue."""
    task = await begun(house, way)
    full_until(task.deadline + timedelta(hours=1))
    await house.reached(task.task_id, Stage.DOWNLOADING)
    await house.kill()
    await asyncio.sleep((task.deadline + away - house.clock.now()).total_seconds())
    full_until(house.clock.now())
    await house.restart()
    done = await house.ended(task.task_id)
    assert done.status.billing is Billing.CHARGED
    await house.clock.sleep(1)
    if away < house.result_grace:
        assert [image.image_id for image in done.status.images] == [RESULT_ID]
    else:
        assert done.status.error == transitions.DEADLINE_EXCEEDED
        assert await late_images(house, task) == [RESULT_ID]


async def test_without_a_grace_the_deadline_is_the_end(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(House, "result_grace", timedelta(0))
    vendor.files[URL] = 503
    vendor.submit = answer_with_a_url
    async with House(tmp_path, vendor) as house:
        task = await house.ended(await house.create(timeout=DEADLINE))
        failed_in_time(task, timedelta(0))
        vendor.files[URL] = RESULT
        await house.clock.sleep(60)
        assert await late_images(house, task) == [RESULT_ID]


# A vendor that still works at the deadline


def done_at(house: House, moment: datetime) -> None:
    async def poll(vendor_task_id: str, report: Report) -> Finished | InProgress:
        return DONE if house.clock.now() >= moment else InProgress()

    house.vendor.poll = poll


@pytest.mark.parametrize("after", [1 * SECOND, 45 * SECOND, 5 * MINUTE])
async def test_a_vendor_is_asked_on_after_the_deadline(house: House, after: timedelta) -> None:
    """The task ends at its deadline; what the vendor made after that is late, and known to be paid for."""
    house.vendor.poll = never
    task = await house.get(await house.create(timeout=DEADLINE))
    done_at(house, task.deadline + after)
    failed_in_time(await house.ended(task.task_id), timedelta(0))
    await house.clock.sleep((after + 5 * MINUTE).total_seconds())
    assert await late_images(house, task) == [RESULT_ID]
    [attempt] = (await house.get(task.task_id)).status.attempts
    assert (attempt.outcome, attempt.billing) == (Outcome.SUCCEEDED, Billing.CHARGED)
    assert await marked(house) == []
    assert len(house.vendor.paid) == 1


async def test_in_the_grace_the_provider_is_asked_at_its_own_pace(tmp_path: Path, vendor: Vendor) -> None:
    """And then ever more rarely, until it is given up."""
    vendor.poll = never
    async with House(tmp_path, vendor, poll_seconds=(2, 3, 4)) as house:
        task = await house.ended(await house.create(timeout=10 * MINUTE))
        before = len(vendor.polled)
        await house.clock.sleep(house.result_grace.total_seconds())
        assert len(vendor.polled) - before in (15, 16)
        before = len(vendor.polled)
        await house.clock.sleep(timedelta(hours=1).total_seconds())
        assert 0 < len(vendor.polled) - before < 12
        assert await marked(house) == []
        assert await late_images(house, task) == []


async def test_a_restart_asks_on(house: House) -> None:
    house.vendor.poll = never
    task = await house.ended(await house.create(timeout=DEADLINE))
    await house.clock.sleep(10)
    await house.kill()
    await house.restart()
    done_at(house, task.deadline + 30 * SECOND)
    await house.clock.sleep(60)
    assert await late_images(house, task) == [RESULT_ID]
    assert await marked(house) == []


async def test_a_server_that_was_away_asks_too(house: House) -> None:
    house.vendor.poll = never
    task = await house.get(await house.create(timeout=DEADLINE))
    await house.reached(task.task_id, Stage.WAITING)
    await house.kill()
    await asyncio.sleep(DEADLINE.total_seconds() + 600)
    house.vendor.poll = finish_poll
    await house.restart()
    done = await house.ended(task.task_id)
    assert done.status.error == transitions.DEADLINE_EXCEEDED
    await house.clock.sleep(1)
    assert await late_images(house, task) == [RESULT_ID]


async def test_a_vendor_that_fails_in_the_grace_is_asked_no_more(house: House) -> None:
    house.vendor.poll = never
    task = await house.ended(await house.create(timeout=DEADLINE))

    async def fail(vendor_task_id: str, report: Report) -> Failure:
        return Failure(reason=FailureReason.PROVIDER_FAILED, message="No.")

    house.vendor.poll = fail
    await house.clock.sleep(30)
    polled = len(house.vendor.polled)
    await house.clock.sleep(1000)
    assert len(house.vendor.polled) == polled
    assert await marked(house) == []
    assert await late_images(house, task) == []


# A cancel


@pytest.mark.parametrize("way", WAYS)
async def test_a_cancel_loses_nothing_that_the_vendor_has_reported(
    house: House, full_until: Callable[[datetime], None], way: str
) -> None:
    task = await begun(house, way)
    full_until(task.deadline + timedelta(hours=1))
    await house.reached(task.task_id, Stage.DOWNLOADING)
    await house.tasks.cancel(TENANT, task.task_id)
    await house.clock.sleep(1)
    full_until(house.clock.now())
    await house.clock.sleep(400)
    done = await house.get(task.task_id)
    assert (done.status.state, done.status.billing) == (State.CANCELLED, Billing.CHARGED)
    assert await late_images(house, task) == [RESULT_ID]
    assert await marked(house) == []


async def test_a_url_that_came_after_a_cancel_is_fetched_after_a_crash(house: House) -> None:
    """The fact and the mark are one commit."""
    door = Door()

    async def held(job: Job, report: Report) -> Finished:
        await door.wait()
        return BY_URL

    house.vendor.submit = held
    house.vendor.files[URL] = 503
    task_id = await house.create()
    await door.arrived.wait()
    await house.tasks.cancel(TENANT, task_id)
    door.open()
    await house.clock.sleep(1)
    await house.kill()
    house.vendor.files[URL] = RESULT
    await house.restart()
    await house.clock.sleep(1)
    assert await late_images(house, await house.get(task_id)) == [RESULT_ID]


# A stepped clock


STEPS = [timedelta(hours=1), -timedelta(hours=1), timedelta(seconds=110)]
PLACES = ["paid call", "poll", "download"]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_stepped_clock_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, step: timedelta, way: str, place: str
) -> None:
    """F33: a run has asked the wall clock once; the task has its two minutes, however they are called."""
    pending = True

    async def stepped() -> None:
        nonlocal pending
        if pending:
            pending = False
            house.clock.step += step
            await asyncio.sleep(20)

    def before(wait: bool, go_on: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def act(*args: Any, **options: Any) -> Any:
            if wait and options.get("field", "result") == "result":
                await stepped()
            return await go_on(*args, **options)

        return act

    house.vendor.files[URL] = RESULT
    WAYS[way](house.vendor)
    monkeypatch.setattr(house.vendor, "submit", before(place == "paid call", house.vendor.submit))
    monkeypatch.setattr(house.vendor, "poll", before(place == "poll", house.vendor.poll))
    monkeypatch.setattr(house.library, "add", before(place == "download", house.library.add))
    task = await house.ended(await house.create(timeout=DEADLINE))
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert len(house.vendor.paid) == 1


async def test_a_stepped_clock_makes_no_work_old(house: House) -> None:
    """F49: a vendor has a minute to know its own work, by a clock that is not stepped."""

    async def deny(vendor_task_id: str, report: Report) -> Finished:
        if len(house.vendor.polled) <= 5:
            raise VendorTaskUnknown
        return DONE

    async def step(job: Job, report: Report) -> Accepted:
        house.clock.step += timedelta(hours=1)
        return await accept(job, report)

    house.vendor.submit, house.vendor.poll = step, deny
    task = await house.ended(await house.create(timeout=DEADLINE))
    assert [image.image_id for image in task.status.images] == [RESULT_ID]


async def test_a_task_gets_no_more_time_than_it_has(house: House) -> None:
    """A clock that is set back an hour keeps no run for an hour."""
    house.vendor.poll = never
    began = asyncio.get_running_loop().time()
    task_id = await house.create(timeout=DEADLINE)
    await house.reached(task_id, Stage.WAITING)
    house.clock.step -= timedelta(hours=1)
    await house.ended(task_id)
    assert asyncio.get_running_loop().time() - began == pytest.approx(DEADLINE.total_seconds(), abs=1)
