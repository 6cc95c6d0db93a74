"""Retention on the real store, over months of virtual time."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.request import Draft, ImageRef, Kind
from imageedit_server.core.task import State
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.retention import forget_tasks
from imageedit_server.upkeep import retention as retention_module
from imageedit_server.upkeep.retention import Retention
from tests.engine.house import RESULT_ID, TENANT, House

DAY = timedelta(days=1)


class Ahead:
    """A clock that is some days ahead of another, so that the engine need not sweep through all of them."""

    def __init__(self, clock: Clock, days: int) -> None:
        self.days = days
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() + self.days * DAY

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def in_days(house: House, days: int, **keep_days: int) -> Retention:
    """The retention as it is after some days."""
    keep = {State[name.upper()]: number * DAY for name, number in keep_days.items()}
    return Retention(house.database, Ahead(house.clock, days), keep)


async def left(house: House) -> set[str]:
    page = await house.tasks.list(TENANT, user_id="", states=[], page_size=1000, page_token="")
    return {task.task_id for task in page.tasks}


async def finished(house: House) -> str:
    task_id = await house.create()
    await house.ended(task_id)
    return task_id


async def test_each_state_has_its_time(house: House) -> None:
    succeeded = await finished(house)
    failed = await house.create(provider="plain", timeout=timedelta(seconds=1), model="plain/m", prompt="x")
    await house.tasks.cancel(TENANT, failed)
    for days, expected in ((6, {succeeded, failed}), (8, {succeeded}), (31, set())):
        await in_days(house, days, succeeded=30, failed=30, cancelled=7).forget()
        assert await left(house) == expected


async def test_a_state_without_a_time_is_kept_for_ever(house: House) -> None:
    task_id = await finished(house)
    assert await in_days(house, 3650, failed=7, cancelled=7).forget() == 0
    assert await left(house) == {task_id}
    assert (await house.pictures.find(TENANT, RESULT_ID)).image_id == RESULT_ID


async def test_thousands_are_forgotten_in_small_steps(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction takes more than a few, and the clock runs between them, so that callers do too."""
    monkeypatch.setattr(retention_module, "TASKS_AT_ONCE", 3)
    steps: list[int] = []

    async def record(unit: Any, *args: Any) -> Any:
        answer = await real(unit, *args)
        if unit is forget_tasks:
            steps.append(answer)
        return answer

    for _ in range(10):
        await finished(house)
    real = house.database.record
    monkeypatch.setattr(house.database, "record", record)
    assert await in_days(house, 31, succeeded=30).forget() == 10
    assert steps == [3, 3, 3, 1]


async def test_an_image_that_was_forgotten_is_not_found_by_a_create(house: House) -> None:
    """Also when its facts are still remembered: nothing is paid for a picture that is gone."""
    await finished(house)
    asked = Draft(kind=Kind.EDIT_IMAGE, prompt="x", model="plain/m", images=(ImageRef(RESULT_ID),))
    task = await house.creating.create(TENANT, asked)
    await house.ended(task.task_id)
    await in_days(house, 31, succeeded=30, failed=30, cancelled=30).forget()
    paid = len(house.vendor.paid)
    for validate_only in (True, False):
        with pytest.raises(Refusal) as refused:
            await house.creating.create(TENANT, replace(asked, validate_only=validate_only))
        assert refused.value.reason is Reason.IMAGE_NOT_FOUND
    assert len(house.vendor.paid) == paid


async def test_it_looks_every_hour_and_a_full_disk_does_not_end_it(house: House) -> None:
    task_id = await finished(house)
    house.database.full = True
    serving = asyncio.create_task(in_days(house, 8, succeeded=7).serve())
    await house.clock.sleep(1)
    assert await left(house) == {task_id}
    house.database.full = False
    await house.clock.sleep(3500)
    assert await left(house) == {task_id}
    await house.clock.sleep(200)
    assert await left(house) == set()
    serving.cancel()
