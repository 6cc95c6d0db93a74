"""CancelTask in every state and stage, and racing what it cancels (F76, P6)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.task import Outcome, Stage, State, Task
from imageedit_server.providers.base import (
    Accepted,
    Finished,
    InProgress,
    Job,
    Output,
    Prepared,
    Report,
)
from imageedit_server.providers.outcomes import not_processed, refused
from tests.engine.house import (
    DONE,
    PUBLIC_URL,
    RESULT_ID,
    TENANT,
    Door,
    House,
    Vendor,
    accept,
    finish_now,
)


async def cancelled(house: House, task_id: str) -> Task:
    """Cancel a task twice; whatever comes after, it stays as the first answer said."""
    first = await house.tasks.cancel(TENANT, task_id)
    assert first.status.state is State.CANCELLED
    assert first.status.end_time == house.clock.now()
    assert await house.tasks.cancel(TENANT, task_id) == first
    return first


async def settled(house: House, task_id: str, billing: Billing) -> Task:
    """Let its deadline pass; the task is as it was, its log is sound, and nobody works on it any more."""
    await house.clock.sleep(1000)
    task = await house.get(task_id)
    assert (task.status.state, task.status.billing) == (State.CANCELLED, billing)
    assert (await house.events(task_id))[-1].task.status.state is State.CANCELLED
    assert house.dispatcher.under_way == {}
    return task


async def test_in_the_queue(tmp_path: Path, vendor: Vendor) -> None:
    house = House(tmp_path, vendor)
    await house.start(serve=False)
    task_id = await house.create()
    await cancelled(house, task_id)
    house.serving = asyncio.create_task(house.dispatcher.serve())
    await settled(house, task_id, Billing.NOT_CHARGED)
    assert vendor.paid == []
    await house.stop()


async def test_while_it_waits_to_be_tried_again(house: House, vendor: Vendor) -> None:
    async def submit(job: Job, report: Report) -> Accepted:
        raise not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.", retry_after=100)

    vendor.submit = submit
    task_id = await house.create()
    await house.clock.sleep(1)
    await cancelled(house, task_id)
    await settled(house, task_id, Billing.NOT_CHARGED)
    assert len(vendor.paid) == 1


async def test_while_preparing(house: House, vendor: Vendor) -> None:
    """Before the intent: no paid call."""
    door = Door()

    async def prepare(job: Job) -> Prepared:
        await door.wait()
        return Prepared(payload=job)

    vendor.prepare = prepare
    task_id = await house.create()
    await door.arrived.wait()
    await cancelled(house, task_id)
    door.open()
    await settled(house, task_id, Billing.NOT_CHARGED)
    assert vendor.paid == []


OUTCOMES: dict[str, tuple[Callable[[Job, Report], Awaitable[Accepted | Finished]], Outcome, Billing]] = {}


def ends(
    outcome: Outcome, billing: Billing
) -> Callable[[Callable[..., Awaitable[Accepted | Finished]]], None]:
    def add(submit: Callable[..., Awaitable[Accepted | Finished]]) -> None:
        OUTCOMES[submit.__name__] = (submit, outcome, billing)

    return add


@ends(Outcome.ACCEPTED, Billing.MAY_HAVE_BEEN_CHARGED)
async def is_accepted(job: Job, report: Report) -> Accepted:
    return await accept(job, report)


@ends(Outcome.SUCCEEDED, Billing.CHARGED)
async def is_finished(job: Job, report: Report) -> Finished:
    await report(progress_percent=50)  # a paid call goes on when its task has ended
    return DONE


@ends(Outcome.NOT_PROCESSED, Billing.NOT_CHARGED)
async def is_refused(job: Job, report: Report) -> Accepted:
    raise refused(FailureReason.PROVIDER_REJECTED, "No.")


@ends(Outcome.NOT_PROCESSED, Billing.NOT_CHARGED)
async def is_not_processed(job: Job, report: Report) -> Accepted:
    raise not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.")


@ends(Outcome.UNKNOWN, Billing.MAY_HAVE_BEEN_CHARGED)
async def is_lost(job: Job, report: Report) -> Accepted:
    raise ConnectionResetError


@ends(Outcome.UNKNOWN, Billing.MAY_HAVE_BEEN_CHARGED)
async def never_answers(job: Job, report: Report) -> Accepted:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


@pytest.mark.parametrize("how", OUTCOMES)
async def test_racing_the_paid_call(house: House, vendor: Vendor, how: str) -> None:
    """The call goes on to its end, and what became of it is on the attempt's books; it is not sent again."""
    submit, outcome, billing = OUTCOMES[how]
    door = Door()

    async def held(job: Job, report: Report) -> Accepted | Finished:
        await door.wait()
        return await submit(job, report)

    vendor.submit = held
    task_id = await house.create()
    await door.arrived.wait()
    await cancelled(house, task_id)
    door.open()
    task = await settled(house, task_id, Billing.MAY_HAVE_BEEN_CHARGED)
    [attempt] = task.status.attempts
    assert (attempt.outcome, attempt.billing) == (outcome, billing)
    assert len(vendor.paid) == 1
    late = [image.image_id for image in attempt.late_images]
    assert late == ([RESULT_ID] if outcome is Outcome.SUCCEEDED else [])
    for image in attempt.late_images:
        assert await house.pictures.find(TENANT, image.image_id) == image
    assert task.status.images == ()


async def test_a_late_result_that_cannot_be_fetched_holds_no_place_for_ever(
    tmp_path: Path, vendor: Vendor
) -> None:
    door = Door()

    async def held(job: Job, report: Report) -> Finished:
        await door.wait()
        return Finished(outputs=(Output(url="https://cdn.test/broken"),))

    vendor.files["https://cdn.test/broken"] = 503
    vendor.submit = held
    async with House(tmp_path, vendor, concurrency=1) as house:
        task_id = await house.create()
        await door.arrived.wait()
        await cancelled(house, task_id)
        door.open()
        task = await settled(house, task_id, Billing.MAY_HAVE_BEEN_CHARGED)
        assert task.status.attempts[0].outcome is Outcome.SUCCEEDED
        vendor.submit = finish_now
        assert (await house.ended(await house.create())).status.images


async def test_a_free_call_is_simply_stopped(house: House, vendor: Vendor) -> None:
    """Nothing is lost by it, and its worker is free for others."""
    stopped = asyncio.Event()

    async def submit(job: Job, report: Report) -> Accepted:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()
        raise AssertionError

    vendor.submit = submit
    task_id = await house.create("free")
    await house.reached(task_id, Stage.SUBMITTING)
    await cancelled(house, task_id)
    await stopped.wait()
    await settled(house, task_id, Billing.NOT_CHARGED)


async def test_while_the_vendor_works(house: House, vendor: Vendor) -> None:
    async def poll(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.poll = poll
    task_id = await house.create()
    await house.reached(task_id, Stage.WAITING)
    await house.clock.sleep(60)
    await cancelled(house, task_id)
    polls = len(vendor.polled)
    await settled(house, task_id, Billing.MAY_HAVE_BEEN_CHARGED)
    assert len(vendor.polled) == polls


async def test_while_nobody_knows(tmp_path: Path, vendor: Vendor) -> None:
    vendor.submit = is_lost_now
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_id = await house.create("correlated")
        await house.reached(task_id, Stage.SUBMIT_UNKNOWN)
        await cancelled(house, task_id)
        await settled(house, task_id, Billing.MAY_HAVE_BEEN_CHARGED)


async def is_lost_now(job: Job, report: Report) -> Accepted:
    raise ConnectionResetError


async def test_while_the_result_is_fetched(house: House, vendor: Vendor) -> None:
    vendor.files["https://cdn.test/1"] = 503

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=(Output(url="https://cdn.test/1"),))

    vendor.poll = poll
    task_id = await house.create()
    await house.reached(task_id, Stage.DOWNLOADING)
    await cancelled(house, task_id)
    await settled(house, task_id, Billing.CHARGED)


async def test_a_vendor_that_calls_back_after_the_end_is_heard(tmp_path: Path, vendor: Vendor) -> None:
    """P6: a result that comes late is kept with its attempt, and the task never changes."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:

        async def poll(vendor_task_id: str, report: Report) -> InProgress:
            return InProgress()

        vendor.poll = poll
        task_id = await house.create("correlated")
        await house.reached(task_id, Stage.WAITING)
        before = await cancelled(house, task_id)
        vendor.poll = finish_late
        token = vendor.callback_urls[0].rsplit("/", 1)[1]
        for _ in range(5):
            await house.callbacks.receive("correlated", token, {}, b"whatever")
        task = await settled(house, task_id, Billing.MAY_HAVE_BEEN_CHARGED)
        [attempt] = task.status.attempts
        assert [image.image_id for image in attempt.late_images] == [RESULT_ID]
        assert (attempt.outcome, attempt.billing) == (Outcome.SUCCEEDED, Billing.CHARGED)
        assert task.seq == before.seq


async def test_a_late_result_is_collected_by_the_next_start(tmp_path: Path, vendor: Vendor) -> None:
    """P6: the callback was answered, so the vendor does not repeat it; a crash must not lose what it told."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:

        async def never(vendor_task_id: str, report: Report) -> InProgress:
            return InProgress()

        vendor.poll = never
        task_id = await house.create("correlated")
        await house.reached(task_id, Stage.WAITING)
        await cancelled(house, task_id)
        token = vendor.callback_urls[0].rsplit("/", 1)[1]
        await house.callbacks.receive("correlated", token, {}, b"whatever")
        await house.kill()
        vendor.poll = finish_late
        await house.restart()
        await house.clock.sleep(1)
        [attempt] = (await house.get(task_id)).status.attempts
        assert [image.image_id for image in attempt.late_images] == [RESULT_ID]
        polled = len(vendor.polled)
        await house.restart()
        await house.clock.sleep(1)
        assert len(vendor.polled) == polled  # and only once


async def finish_late(vendor_task_id: str, report: Report) -> Finished:
    return DONE


@pytest.mark.parametrize("moment", range(0, 60, 3))
async def test_at_any_moment(house: House, vendor: Vendor, moment: int) -> None:
    """Cancel and work race through the same store: one end, billing never too low, paid at most once."""
    vendor.submit = finish_now
    task_id = await house.create()
    for _ in range(moment):
        await asyncio.sleep(0)
    task = await house.tasks.cancel(TENANT, task_id)
    await house.clock.sleep(60)
    task = await house.get(task_id)
    await house.events(task_id)
    assert task.status.state in (State.CANCELLED, State.SUCCEEDED)
    assert len(vendor.paid) <= 1
    if vendor.paid:
        assert task.status.billing is not Billing.NOT_CHARGED
        assert task.status.attempts[0].outcome in (Outcome.SUCCEEDED, Outcome.IN_FLIGHT)
    assert house.dispatcher.under_way == {}
