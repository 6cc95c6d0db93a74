"""Moves tasks on without an engine, and reads watches."""

from collections.abc import AsyncGenerator
from functools import partial

from imageedit_server.core import transitions
from imageedit_server.core.task import Event
from imageedit_server.editing import Heartbeat
from imageedit_server.store.claims import Lease
from imageedit_server.store.decisions import change
from tests.engine.house import House
from tests.store.making import claimed_task, finish

OTHER = "other"
UNKNOWN = f"task_{'0' * 32}"
STEPS = 12


async def step(house: House, lease: Lease, percent: int) -> None:
    await house.database.write(
        change, lease, partial(transitions.progress, percent=percent), house.clock.now()
    )


async def end(house: House, lease: Lease) -> None:
    await house.database.write(change, lease, finish, house.clock.now())


async def finished(house: House, steps: int = STEPS) -> str:
    """Make a task of ``steps`` + 3 events that has ended."""
    claimed = await claimed_task(house.database)
    for percent in range(1, steps + 1):
        await step(house, claimed.lease, percent)
    await end(house, claimed.lease)
    return claimed.task.task_id


def seqs(items: list[Event | Heartbeat]) -> list[int]:
    return [item.seq for item in items if isinstance(item, Event)]


async def all_of(watch: AsyncGenerator[Event | Heartbeat, None]) -> list[Event | Heartbeat]:
    return [item async for item in watch]
