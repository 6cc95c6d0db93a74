"""Late results: each is collected once, whatever happens meanwhile (P6)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from imageedit_server.core.errors import FailureReason, Refusal
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Outcome, Stage, State
from imageedit_server.engine import late_results
from imageedit_server.providers.base import Finished, InProgress, Report
from imageedit_server.store.attempts import called_late
from imageedit_server.store.retention import forget_tasks
from tests.engine.house import DONE, PUBLIC_URL, RESULT_ID, TENANT, Door, House, Vendor

FAILED = Failure(reason=FailureReason.PROVIDER_FAILED, message="not yet", retryable=True)
LONG = timedelta(days=100)


@pytest.fixture
async def house(tmp_path: Path, vendor: Vendor) -> AsyncIterator[House]:
    """A house that vendors call back."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        yield house


async def never(vendor_task_id: str, report: Report) -> InProgress:
    return InProgress()


async def done(vendor_task_id: str, report: Report) -> Finished:
    return DONE


async def ended(house: House) -> str:
    """A task that was cancelled while its vendor worked."""
    house.vendor.poll = never
    task_id = await house.create("correlated")
    await house.reached(task_id, Stage.WAITING)
    assert (await house.tasks.cancel(TENANT, task_id)).status.state is State.CANCELLED
    return task_id


async def call_back(house: House, number: int = 0) -> None:
    """The vendor calls back about its work of this number."""
    token = house.vendor.callback_urls[number].rsplit("/", 1)[1]
    await house.callbacks.receive("correlated", token, {}, b"v-%d" % number)


async def late_images(house: House, task_id: str) -> list[str]:
    [attempt] = (await house.get(task_id)).status.attempts
    return [image.image_id for image in attempt.late_images]


async def marked(house: House) -> list[str]:
    found: list[str] = await house.database.read(called_late)
    return found


def held(vendor: Vendor, answer: Finished | Failure) -> Door:
    """Let a poll wait at a door, and then bring ``answer``."""
    door = Door()

    async def poll(vendor_task_id: str, report: Report) -> Finished | Failure:
        await door.wait()
        return answer

    vendor.poll = poll
    return door


async def test_a_vendor_that_calls_again_meanwhile_is_asked_again(house: House, vendor: Vendor) -> None:
    """Its first call was about something else; what it says last is what counts."""
    task_id = await ended(house)
    door = held(vendor, FAILED)
    await call_back(house)
    await door.arrived.wait()
    await call_back(house)
    vendor.poll = done
    door.open()
    await house.clock.sleep(1)
    assert await late_images(house, task_id) == [RESULT_ID]
    assert await marked(house) == []


async def test_after_a_flood_of_calls_a_few_are_collected_at_once(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next start, when what all vendors called back about is known at one moment."""
    monkeypatch.setattr(late_results, "AT_ONCE", 3)
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_ids = [await ended(house) for _ in range(8)]
        await house.dispatcher.drain(0)
        for number in range(8):
            await call_back(house, number)
        assert len(await marked(house)) == 8
        fetching, most, gate = 0, 0, asyncio.Event()

        async def held(vendor_task_id: str, report: Report) -> Finished:
            nonlocal fetching, most
            fetching += 1
            most = max(most, fetching)
            await gate.wait()
            fetching -= 1
            return DONE

        vendor.poll = held
        await house.restart()
        await house.clock.sleep(1)
        assert fetching == 3
        gate.set()
        await house.clock.sleep(1)
        assert most == 3
        assert [await late_images(house, task_id) for task_id in task_ids] == [[RESULT_ID]] * 8
        assert await marked(house) == []


async def test_while_it_waits_for_its_vendor_a_result_holds_nobody_up(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The places are for those that are fetched, not for those that are asked for again later."""
    monkeypatch.setattr(late_results, "AT_ONCE", 1)
    await house.restart()
    first, second = await ended(house), await ended(house)

    async def by_id(vendor_task_id: str, report: Report) -> Finished | InProgress:
        return DONE if vendor_task_id == second_vendor_id else InProgress()

    second_vendor_id = (await house.get(second)).status.attempts[0].vendor_task_id
    vendor.poll = by_id
    await call_back(house, 0)
    await call_back(house, 1)
    await house.clock.sleep(0.5)
    assert await late_images(house, first) == []
    assert await late_images(house, second) == [RESULT_ID]


@pytest.mark.parametrize("moment", ["before it is asked", "while it is asked"])
async def test_a_task_that_is_forgotten_meanwhile_is_nothing_to_collect_for(
    house: House, vendor: Vendor, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """No error, and nobody is given the picture."""
    task_id = await ended(house)
    door = held(vendor, DONE)
    if moment == "while it is asked":
        await call_back(house)
        await door.arrived.wait()
    assert await house.database.record(forget_tasks, State.CANCELLED, house.clock.now() + LONG, 9) == 1
    house.dispatcher.late.collect(task_id)
    door.open()
    await house.clock.sleep(2000)
    with pytest.raises(Refusal):
        await house.pictures.find(TENANT, RESULT_ID)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not house.dispatcher.late.under_way


async def test_a_full_disk_is_waited_for(house: House, vendor: Vendor) -> None:
    """F20: what was paid for is asked for again, not given up."""
    task_id = await ended(house)
    vendor.poll = done
    await call_back(house)
    house.database.full = True
    await house.clock.sleep(3)
    house.database.full = False
    assert await late_images(house, task_id) == []
    await house.clock.sleep(100)
    assert await late_images(house, task_id) == [RESULT_ID]
    [attempt] = (await house.get(task_id)).status.attempts
    assert attempt.outcome is Outcome.SUCCEEDED
    assert await marked(house) == []


async def test_what_breaks_off_is_told_and_left_to_the_next_start(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = await ended(house)
    vendor.poll = done

    def broken() -> None:
        raise RuntimeError

    with late_results.COLLECTING.heard_by(broken):
        await call_back(house)
        await house.clock.sleep(1)
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert vars(record)["task_id"] == task_id
    assert await marked(house) == [task_id]
    await house.restart()
    await house.clock.sleep(1)
    assert await late_images(house, task_id) == [RESULT_ID]
