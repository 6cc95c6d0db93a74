"""A flood of one tenant at most doubles what another waits (F88), in virtual time: the figures are exact."""

from datetime import timedelta
from pathlib import Path

import pytest

from imageedit_server.core.request import Content, Draft, Kind
from imageedit_server.providers.base import Finished, Job, Report
from tests.engine.house import DONE, INPUT, House, Vendor

WORK_SECONDS = 10
FLOOD = 80
ASKED = 12


class Office:
    """A house with few places, whose vendor takes ten seconds for everything."""

    def __init__(self, house: House, vendor: Vendor) -> None:
        self.house = house
        vendor.submit = self._submit

    async def _submit(self, job: Job, report: Report) -> Finished:
        await self.house.clock.sleep(WORK_SECONDS)
        return DONE

    async def create(self, tenant: str, provider: str) -> str:
        """Create a task with time enough to wait for everyone."""
        draft = Draft(
            kind=Kind.EDIT_IMAGE,
            prompt="x",
            images=(Content(INPUT),),
            model=f"{provider}/m",
            timeout=timedelta(days=1),
        )
        return (await self.house.creating.create(tenant, draft)).task_id

    async def seconds(self, tenant: str, provider: str) -> float:
        """Create a task and return how long it took."""
        task_id = await self.create(tenant, provider)
        async for _ in self.house.watching.watch(tenant, task_id, 0):
            pass
        status = (await self.house.tasks.get(tenant, task_id)).status
        created = (await self.house.tasks.get(tenant, task_id)).create_time
        assert status.end_time is not None
        return (status.end_time - created).total_seconds()


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("provider", ["plain", "keyed"], ids=["the same vendor", "another vendor"])
async def test_a_flood_at_most_doubles_what_another_waits(
    tmp_path: Path, vendor: Vendor, places: int, provider: str
) -> None:
    """Alone each task takes as long as its work; beside a flood, at most one turn longer."""
    async with House(tmp_path, vendor, concurrency=places) as house:
        office = Office(house, vendor)
        alone = [await office.seconds("bob", provider) for _ in range(3)]
        flood = [await office.create("alice", "plain") for _ in range(FLOOD)]
        beside = []
        for number in range(ASKED):
            await house.clock.sleep(number % 7)
            beside.append(await office.seconds("bob", provider))
        last = await house.tasks.get("alice", flood[-1])
        assert not last.status.state.terminal  # there was a flood all the time
        assert max(alone) == WORK_SECONDS
        assert max(beside) <= 2 * WORK_SECONDS
