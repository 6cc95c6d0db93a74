"""A task has its own deadline, in every stage, and its end says what it was that did not end (P30, F50)."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
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
from imageedit_server.providers.outcomes import not_processed
from tests.engine.house import MINUTE, PUBLIC_URL, House, Vendor, accept, finish_now

DEADLINE = 5 * MINUTE


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def at_deadline(task: Task, error: Failure, billing: Billing) -> None:
    assert task.status.state is State.FAILED
    assert task.status.error == error
    assert task.status.billing is billing
    assert task.status.end_time == task.deadline


async def test_in_the_queue(tmp_path: Path, vendor: Vendor) -> None:
    """Also while every place is taken: the queue does not stop the clock."""

    async def submit(job: Job, report: Report) -> Accepted:
        await for_ever()
        raise AssertionError

    vendor.submit = submit
    async with House(tmp_path, vendor, concurrency=1, submit_seconds=3600) as house:
        busy = await house.create(timeout=timedelta(hours=1))
        await house.reached(busy, Stage.SUBMITTING)
        task_id = await house.create(timeout=DEADLINE)
        task = await house.ended(task_id)
        assert task.status.error == transitions.DEADLINE_EXCEEDED
        assert task.status.billing is Billing.NOT_CHARGED
        assert task.status.end_time is not None
        assert task.status.end_time - task.deadline <= timedelta(seconds=5)
        assert await house.story(task_id) == ["QUEUED", "FAILED"]
        assert len(vendor.paid) == 1


async def test_while_preparing(house: House, vendor: Vendor) -> None:
    async def prepare(job: Job) -> Prepared:
        await for_ever()
        raise AssertionError

    vendor.prepare = prepare
    task = await house.ended(await house.create(timeout=DEADLINE))
    at_deadline(task, transitions.DEADLINE_EXCEEDED, Billing.NOT_CHARGED)
    assert vendor.paid == []


async def test_a_timeout_of_the_preparation_is_not_the_deadline(house: House, vendor: Vendor) -> None:
    """What merely took too long is tried again; only the deadline is the deadline."""
    tries = []

    async def prepare(job: Job) -> Prepared:
        tries.append(job.attempt_key)
        if len(tries) == 1:
            raise TimeoutError
        return Prepared(payload=job)

    vendor.prepare = prepare
    task = await house.ended(await house.create(timeout=DEADLINE))
    assert task.status.images
    assert len(tries) == 2


@pytest.mark.parametrize("provider", ["plain", "correlated"])
async def test_in_the_paid_call(house: House, vendor: Vendor, provider: str) -> None:
    """DESIGN §4: the call's own limit ends it, never past the deadline, and then nobody knows."""

    async def submit(job: Job, report: Report) -> Accepted:
        await for_ever()
        raise AssertionError

    vendor.submit = submit
    task_id = await house.create(provider, timeout=timedelta(seconds=30))
    task = await house.ended(task_id)
    at_deadline(task, transitions.SUBMIT_OUTCOME_UNKNOWN, Billing.MAY_HAVE_BEEN_CHARGED)
    assert [attempt.outcome for attempt in task.status.attempts] == [Outcome.UNKNOWN]


async def test_in_a_free_call(house: House, vendor: Vendor) -> None:
    async def submit(job: Job, report: Report) -> Accepted:
        await for_ever()
        raise AssertionError

    vendor.submit = submit
    task = await house.ended(await house.create("free", timeout=timedelta(seconds=30)))
    at_deadline(task, transitions.DEADLINE_EXCEEDED, Billing.NOT_CHARGED)


async def test_while_the_vendor_works(house: House, vendor: Vendor) -> None:
    async def poll(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress(progress_percent=50)

    vendor.poll = poll
    task = await house.ended(await house.create(timeout=DEADLINE))
    at_deadline(task, transitions.DEADLINE_EXCEEDED, Billing.MAY_HAVE_BEEN_CHARGED)
    assert task.status.attempts[0].outcome is Outcome.ACCEPTED


async def test_in_the_middle_of_a_poll(house: House, vendor: Vendor) -> None:
    async def poll(vendor_task_id: str, report: Report) -> InProgress:
        await for_ever()
        raise AssertionError

    vendor.poll = poll
    task = await house.ended(await house.create(timeout=timedelta(seconds=7)))
    at_deadline(task, transitions.DEADLINE_EXCEEDED, Billing.MAY_HAVE_BEEN_CHARGED)


async def test_while_nobody_knows(tmp_path: Path, vendor: Vendor) -> None:
    async def submit(job: Job, report: Report) -> Accepted:
        raise RuntimeError

    vendor.submit = submit
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task = await house.ended(await house.create("correlated", timeout=DEADLINE))
        at_deadline(task, transitions.SUBMIT_OUTCOME_UNKNOWN, Billing.MAY_HAVE_BEEN_CHARGED)


async def test_while_the_result_is_fetched(house: House, vendor: Vendor) -> None:
    """What the vendor reported has its grace to come home (``test_result_grace``)."""
    vendor.files["https://cdn.test/1"] = 503

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=(Output(url="https://cdn.test/1"),))

    vendor.poll = poll
    task_id = await house.create(timeout=DEADLINE)
    task = await house.ended(task_id)
    assert task.status.error == transitions.DEADLINE_EXCEEDED
    assert task.status.billing is Billing.CHARGED  # the vendor said that it succeeded
    assert task.status.end_time == task.deadline + house.result_grace
    assert (await house.story(task_id))[-2:] == ["DOWNLOADING", "FAILED"]


async def test_while_it_waits_to_be_tried_again(house: House, vendor: Vendor) -> None:
    """A wait that would end after the deadline ends the task now, with what it would have waited for."""

    async def submit(job: Job, report: Report) -> Accepted:
        raise not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.", retry_after=599)

    vendor.submit = submit
    started = house.clock.now()
    task = await house.ended(await house.create(timeout=DEADLINE))
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.PROVIDER_RATE_LIMITED
    assert task.status.end_time == started


async def test_no_paid_call_begins_after_the_deadline(house: House, vendor: Vendor) -> None:
    async def prepare(job: Job) -> Prepared:
        await house.clock.sleep(DEADLINE.total_seconds() + 1)
        return Prepared(payload=job)

    vendor.prepare = prepare
    task = await house.ended(await house.create(timeout=DEADLINE))
    at_deadline(task, transitions.DEADLINE_EXCEEDED, Billing.NOT_CHARGED)
    assert vendor.paid == []


@pytest.mark.parametrize("step", [timedelta(hours=1), -timedelta(hours=1), timedelta(minutes=5)])
async def test_a_step_of_the_wall_clock_pays_nothing_twice(
    house: House, vendor: Vendor, step: timedelta
) -> None:
    """F33: NTP or an operator moves the clock while the paid call runs; one call, one end, seq unbroken."""

    async def submit(job: Job, report: Report) -> Accepted:
        house.clock.step += step
        await house.clock.sleep(45)  # longer than the lease
        return await accept(job, report)

    vendor.submit = submit
    task_id = await house.create(timeout=timedelta(hours=2))
    await house.ended(task_id)
    assert len(vendor.paid) == 1
    await house.events(task_id)


async def test_a_deadline_does_not_end_what_was_in_time(house: House, vendor: Vendor) -> None:
    vendor.submit = finish_now
    tasks = [await house.create(timeout=timedelta(seconds=1)) for _ in range(5)]
    assert all([(await house.ended(task_id)).status.images for task_id in tasks])
    await house.clock.sleep(60)
    for task_id in tasks:
        assert (await house.get(task_id)).status.state is State.SUCCEEDED
        assert (await house.events(task_id))[-1].task.status.error is None


async def test_work_that_takes_long_by_design_is_not_cut_by_the_limit_of_a_call(
    tmp_path: Path, vendor: Vendor
) -> None:
    async def work(job: Job, report: Report) -> Finished:
        await asyncio.sleep(0.2)
        return await finish_now(job, report)

    vendor.submit = work
    async with House(tmp_path, vendor, submit_seconds=0.01) as house:
        assert (await house.ended(await house.create("free"))).status.state is State.FAILED
        house.catalog.providers["free"].adapter.work_seconds = 60.0
        assert (await house.ended(await house.create("free"))).status.state is State.SUCCEEDED
