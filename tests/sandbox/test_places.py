"""The places of the pool: results first, each lane in its order, and no place is ever lost or given twice."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from imageedit_server.sandbox.places import Lane, Places
from imageedit_server.sandbox.pool import INSPECTION, WorkerPool

RESULTS, OTHERS = Lane.RESULTS, Lane.OTHERS


async def settle() -> None:
    """Let everybody go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Visitors:
    """Who came in, in which order, and how many at once."""

    def __init__(self, count: int) -> None:
        self.places = Places(count)
        self.came: list[str] = []
        self.inside = 0
        self.most = 0
        self.leave = asyncio.Event()

    async def visit(self, name: str, lane: Lane, stay: Callable[[], Awaitable[object]] | None = None) -> None:
        async with self.places.hold(lane):
            self.came.append(name)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await (stay or self.leave.wait)()
            finally:
                self.inside -= 1


async def test_results_go_first_and_each_lane_keeps_its_order() -> None:
    visitors = Visitors(1)
    names = [("first", OTHERS), ("a", OTHERS), ("b", OTHERS), ("1", RESULTS), ("c", OTHERS), ("2", RESULTS)]
    visits = []
    for name, lane in names:
        visits.append(asyncio.create_task(visitors.visit(name, lane)))
        await settle()
    visitors.leave.set()
    await asyncio.gather(*visits)
    assert visitors.came == ["first", "1", "2", "a", "b", "c"]
    assert visitors.most == 1


async def test_who_comes_later_does_not_overtake() -> None:
    """A place that is given back belongs to who waited, also before they have noticed."""
    visitors = Visitors(1)
    first = asyncio.create_task(visitors.visit("first", OTHERS))
    await settle()
    waiting = asyncio.create_task(visitors.visit("waiting", OTHERS))
    await settle()
    visitors.leave.set()
    await first
    await asyncio.gather(waiting, visitors.visit("newcomer", RESULTS))
    assert visitors.came == ["first", "waiting", "newcomer"]


@pytest.mark.parametrize("given", [False, True], ids=["while it waits", "as its turn comes"])
async def test_who_is_cancelled_takes_no_place_along(given: bool) -> None:
    visitors = Visitors(1)
    visitors.leave.set()
    async with visitors.places.hold(OTHERS):
        gone, last = (asyncio.create_task(visitors.visit(name, OTHERS)) for name in ("gone", "last"))
        await settle()
        if not given:
            gone.cancel()
            await settle()
    gone.cancel()  # it has the place and does not know it yet
    await asyncio.gather(gone, last, return_exceptions=True)
    assert gone.cancelled()
    assert visitors.came == ["last"]
    await asyncio.wait_for(visitors.visit("next", OTHERS), 1)


@pytest.mark.parametrize("seed", range(20))
async def test_with_cancels_at_any_moment_every_place_comes_back(seed: int) -> None:
    dice = random.Random(seed)
    visitors = Visitors(3)

    async def stay() -> None:
        for _ in range(dice.randrange(5)):
            await asyncio.sleep(0)
        if dice.random() < 0.2:
            raise ValueError

    visits = [
        asyncio.create_task(visitors.visit(str(number), dice.choice(list(Lane)), stay))
        for number in range(60)
    ]
    for _ in range(80):
        dice.choice(visits).cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*visits, return_exceptions=True)
    assert visitors.most <= 3
    last = [asyncio.create_task(visitors.visit("last", OTHERS)) for _ in range(3)]
    await settle()
    assert visitors.inside == 3
    visitors.leave.set()
    await asyncio.gather(*last)


async def test_a_result_is_looked_at_before_all_uploads_that_wait() -> None:
    """In a real pool: one tenant's hundred pictures hold up no result of another's."""
    pool = WorkerPool(size=1)
    uploads, results = pool.within(INSPECTION), pool.within(INSPECTION, Lane.RESULTS)
    order: list[str] = []

    def noted(name: str) -> Callable[[], Awaitable[int]]:
        async def load() -> int:
            order.append(name)
            return -1

        return load

    jobs = [asyncio.create_task(uploads.run_on(noted("upload"), abs)) for _ in range(20)]
    await settle()
    jobs.append(asyncio.create_task(results.run_on(noted("result"), abs)))
    await asyncio.gather(*jobs)
    assert order.index("result") <= 1
    await pool.aclose()
