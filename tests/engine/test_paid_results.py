"""What was paid for is kept, whoever stops the work between the answer and its storing; and what left."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.task import Stage, State
from imageedit_server.providers.base import Accepted, InProgress, Job, Report
from tests.engine.house import RESULT_ID, TENANT, Door, House, Vendor, accept, finish_now


@pytest.fixture
def storing(house: House, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Where results wait before they are stored."""
    door, add = Door(), house.library.add_bytes

    async def held(data: bytes, *, field: str) -> Any:
        await door.wait()
        return await add(data, field=field)

    monkeypatch.setattr(house.library, "add_bytes", held)
    return door


async def test_a_drain_waits_until_a_result_that_came_with_the_answer_is_stored(
    house: House, vendor: Vendor, storing: Door
) -> None:
    """It exists nowhere else: a synchronous vendor cannot be asked again."""
    vendor.submit = finish_now
    task_id = await house.create()
    await storing.arrived.wait()
    draining = asyncio.create_task(house.dispatcher.drain(20))
    await asyncio.sleep(1)
    assert not draining.done()
    storing.open()
    await draining
    task = await house.get(task_id)
    assert task.status.state is State.SUCCEEDED
    assert [image.image_id for image in task.status.images] == [RESULT_ID]


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, Billing.MAY_HAVE_BEEN_CHARGED), (2, Billing.CHARGED)], ids=["at once", "later"]
)
async def test_a_cancel_while_it_is_stored_keeps_it_with_the_attempt(
    house: House, vendor: Vendor, storing: Door, seconds: float, told: Billing
) -> None:
    """P6: the task says CANCELLED and what was known of its cost, and what was paid for is there.

    The success has a commit of its own where its picture is not home within a second.
    """
    vendor.submit = finish_now
    task_id = await house.create()
    await storing.arrived.wait()
    await house.clock.sleep(seconds)
    await house.tasks.cancel(TENANT, task_id)
    storing.open()
    await house.clock.sleep(1)
    task = await house.get(task_id)
    assert (task.status.state, task.status.billing) == (State.CANCELLED, told)
    assert task.status.attempts[0].billing is Billing.CHARGED
    assert [image.image_id for image in task.status.attempts[0].late_images] == [RESULT_ID]


async def test_a_drain_waits_for_the_answer_and_not_for_the_work(house: House, vendor: Vendor) -> None:
    """P24: once the vendor's id is recorded, the next process can poll."""
    door = Door()

    async def held(job: Job, report: Report) -> Accepted:
        await door.wait()
        return await accept(job, report)

    async def never(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.submit, vendor.poll = held, never
    task_id = await house.create()
    await door.arrived.wait()
    started = house.clock.now()
    draining = asyncio.create_task(house.dispatcher.drain(20))
    await asyncio.sleep(1)
    door.open()
    await draining
    assert house.clock.now() - started < timedelta(seconds=2)
    task = await house.get(task_id)
    assert task.status.stage is Stage.WAITING
    assert task.status.attempts[0].vendor_task_id


async def test_tasks_of_a_provider_that_left_the_configuration_end_at_the_start(
    house: House, vendor: Vendor
) -> None:
    """They say so at once, instead of waiting for their deadline."""

    async def never(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.poll = never
    running = await house.create()
    await house.reached(running, Stage.WAITING)
    await house.kill()
    del house.providers["plain"]
    await house.restart()
    task = await house.ended(running)
    assert task.status.error
    assert task.status.error.reason is FailureReason.PROVIDER_DISABLED
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
