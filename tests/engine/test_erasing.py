"""A task that is erased while its vendor still works: what comes later is of nobody, and is not kept."""

import asyncio
import hashlib

import pytest

from imageedit_server.core.errors import Refusal
from imageedit_server.providers.base import Accepted, Finished, InProgress, Job, Output, Report
from tests.engine.house import TENANT, House, Vendor, picture
from tests.engine.test_durable_answers import stored

BYTES = picture(size=(29, 13))


def is_kept(house: House) -> bool:
    """Whether the bytes of the result are in the house."""
    return any(path.name == hashlib.sha256(BYTES).hexdigest() for path in house.images.rglob("*"))


async def erased(house: House, task_id: str) -> None:
    await house.tasks.cancel(TENANT, task_id)
    await house.erasing.delete_task(TENANT, task_id)
    with pytest.raises(Refusal):
        await house.get(task_id)


async def is_over(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody works on it any more, and nothing is left of it; nothing broke off."""
    await house.clock.sleep(30)
    assert house.dispatcher.under_way == {}
    assert not is_kept(house)
    assert stored(house) == []
    assert [each.message for each in caplog.records if each.levelname in ("ERROR", "CRITICAL")] == []


async def test_the_answer_to_its_paid_call_comes_too_late(
    house: House, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    answers = asyncio.Event()

    async def submit(job: Job, report: Report) -> Finished:
        await answers.wait()
        return Finished(outputs=(Output(content=BYTES),))

    vendor.submit = submit
    task_id = await house.create()
    while not vendor.paid:
        await house.clock.sleep(0.1)
    await erased(house, task_id)
    answers.set()
    await is_over(house, caplog)
    assert len(vendor.paid) == 1


async def test_its_result_was_on_its_way_home(
    house: House, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    """The vendor finishes after the end, and is polled by a run that has lost its task."""
    done = asyncio.Event()

    async def submit(job: Job, report: Report) -> Accepted:
        return Accepted(vendor_task_id="v1")

    async def poll(vendor_task_id: str, report: Report) -> Finished | InProgress:
        return Finished(outputs=(Output(content=BYTES),)) if done.is_set() else InProgress()

    vendor.submit, vendor.poll = submit, poll
    task_id = await house.create()
    while not vendor.polled:
        await house.clock.sleep(0.1)
    await erased(house, task_id)
    done.set()
    await is_over(house, caplog)
