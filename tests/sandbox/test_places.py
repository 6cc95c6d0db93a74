"""The places of the pool: results first, each lane in its order, and no place is ever lost or given twice."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from imageedit_server.core.errors import Code, Reason, Refusal
from imageedit_server.sandbox.places import MOST_OF_ALL, MOST_WAITING, Lane, Places
from imageedit_server.sandbox.pool import INSPECTION, WorkerPool

RESULTS, UPLOADS = Lane.RESULTS, Lane.UPLOADS


async def settle() -> None:
    """Let everybody go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Visitors:
    """Who came in, in which order, and how many at once."""

    def __init__(self, count: int) -> None:
        self.time = 0.0
        self.places = Places(count, lambda: self.time)
        self.came: list[str] = []
        self.inside = 0
        self.most = 0
        self.leave = asyncio.Event()

    async def visit(
        self,
        name: str,
        lane: Lane,
        stay: Callable[[], Awaitable[object]] | None = None,
        tenant: str = "",
    ) -> None:
        async with self.places.hold(lane, tenant):
            self.came.append(name)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await (stay or self.leave.wait)()
            finally:
                self.inside -= 1


async def test_results_go_first_and_each_lane_keeps_its_order() -> None:
    visitors = Visitors(1)
    names = [
        ("first", UPLOADS),
        ("a", UPLOADS),
        ("b", UPLOADS),
        ("1", RESULTS),
        ("c", UPLOADS),
        ("2", RESULTS),
    ]
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
    first = asyncio.create_task(visitors.visit("first", UPLOADS))
    await settle()
    waiting = asyncio.create_task(visitors.visit("waiting", UPLOADS))
    await settle()
    visitors.leave.set()
    await first
    await asyncio.gather(waiting, visitors.visit("newcomer", RESULTS))
    assert visitors.came == ["first", "waiting", "newcomer"]


@pytest.mark.parametrize("given", [False, True], ids=["while it waits", "as its turn comes"])
async def test_who_is_cancelled_takes_no_place_along(given: bool) -> None:
    visitors = Visitors(1)
    visitors.leave.set()
    async with visitors.places.hold(UPLOADS):
        gone, last = (asyncio.create_task(visitors.visit(name, UPLOADS)) for name in ("gone", "last"))
        await settle()
        if not given:
            gone.cancel()
            await settle()
    gone.cancel()  # it has the place and does not know it yet
    await asyncio.gather(gone, last, return_exceptions=True)
    assert gone.cancelled()
    assert visitors.came == ["last"]
    await asyncio.wait_for(visitors.visit("next", UPLOADS), 1)


async def test_who_is_cancelled_as_a_place_comes_back_hears_of_nothing_else() -> None:
    """It left the line by itself and is taken out of it too, before it notices either."""
    visitors = Visitors(1)
    async with visitors.places.hold(UPLOADS):
        gone = asyncio.create_task(visitors.visit("gone", UPLOADS))
        await settle()
        gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert visitors.came == []


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
        asyncio.create_task(
            visitors.visit(str(number), dice.choice(list(Lane)), stay, dice.choice(["a", "b", "c"]))
        )
        for number in range(60)
    ]
    for _ in range(80):
        dice.choice(visits).cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*visits, return_exceptions=True)
    assert visitors.most <= 3
    last = [asyncio.create_task(visitors.visit("last", UPLOADS)) for _ in range(3)]
    await settle()
    assert visitors.inside == 3
    visitors.leave.set()
    await asyncio.gather(*last)


async def take_turns(places: int, **seconds: float) -> dict[str, list[float]]:
    """Let each tenant have many pictures of so many ``seconds``; return when each of theirs began.

    Until the first has no more of them; time passes by itself.
    """
    now = 0.0
    began: dict[str, list[float]] = {tenant: [] for tenant in seconds}
    ends: list[tuple[float, asyncio.Event]] = []
    door = Places(places, lambda: now)

    async def picture(tenant: str) -> None:
        async with door.hold(UPLOADS, tenant):
            began[tenant].append(now)
            ends.append((now + seconds[tenant], done := asyncio.Event()))
            await done.wait()

    waiting = [asyncio.create_task(picture(tenant)) for tenant in seconds for _ in range(60)]
    await settle()
    while all(len(each) < 60 for each in began.values()):
        ends.sort(key=lambda end: end[0])
        now, done = ends.pop(0)
        done.set()
        await settle()
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return began


@pytest.mark.parametrize("places", [1, 2])
async def test_costly_pictures_take_half_of_the_time_from_others(places: int) -> None:
    """One tenant's cost fifty times as much, and came first: the others have a half all the same."""
    began = await take_turns(places, noisy=5.0, honest=0.1)
    last = began["honest"][-1]
    assert len(began["honest"]) == 60
    theirs = sum(min(5.0, last - start) for start in began["noisy"])
    assert theirs <= places * last / 2 + places * 5.0, "no more than what ran already"
    alone = await take_turns(places, honest=0.1)
    assert last <= 2 * alone["honest"][-1] + 5.0 * places


async def test_equal_pictures_are_shared_equally() -> None:
    began = await take_turns(2, first=1.0, second=1.0, third=1.0)
    assert {len(each) for each in began.values()} <= {58, 59, 60}


async def test_being_away_earns_nothing() -> None:
    """Who comes anew is as far as the others, and takes turns from then on."""
    visitors = Visitors(1)
    names = [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]
    visits = [asyncio.create_task(visitors.visit(name, UPLOADS, None, who)) for who, name in names]
    await settle()
    visitors.time = 100.0
    visits += [asyncio.create_task(visitors.visit(name, UPLOADS, None, "b")) for name in ("x", "y")]

    async def stay() -> None:
        visitors.time += 1.0

    visits.append(asyncio.create_task(visitors.visit("z", UPLOADS, stay, "b")))
    await settle()
    visitors.leave.set()
    await asyncio.gather(*visits)
    assert visitors.came[:2] == ["1", "x"]
    assert sorted(visitors.came) == sorted(["1", "2", "3", "4", "x", "y", "z"])


async def fill(visitors: Visitors, lane: Lane, tenant: str, count: int) -> list[asyncio.Task[None]]:
    visits = [
        asyncio.create_task(visitors.visit(f"{tenant}{number}", lane, None, tenant))
        for number in range(count)
    ]
    await settle()
    return visits


async def test_the_line_of_callers_is_bounded_and_says_when_to_come_back() -> None:
    visitors = Visitors(1)
    visits = await fill(visitors, UPLOADS, "noisy", 1 + MOST_WAITING)
    with pytest.raises(Refusal) as refused:
        await visitors.visit("one more", UPLOADS, None, "noisy")
    assert refused.value.reason is Reason.QUOTA_EXCEEDED
    assert refused.value.reason.code is Code.RESOURCE_EXHAUSTED
    assert refused.value.retry_after_seconds == 5.0
    assert "64 pictures of yours wait" in refused.value.message
    visits += await fill(visitors, UPLOADS, "honest", 1)  # a neighbour's line is no hindrance
    visitors.leave.set()
    await asyncio.gather(*visits)
    assert visitors.came.index("honest0") <= 2, "nor is it waited for"
    await visitors.visit("later", UPLOADS, None, "noisy")


async def test_many_tenants_share_one_line() -> None:
    visitors = Visitors(1)
    visits = []
    for number in range(40):
        visits += await fill(visitors, UPLOADS, f"tenant {number}", MOST_OF_ALL // (number + 1) // 4 or 1)
    with pytest.raises(Refusal, match="6 pictures of yours"):
        await visitors.visit("one more", UPLOADS, None, "tenant 0")
    visits += await fill(visitors, UPLOADS, "newcomer", 1)
    visitors.leave.set()
    await asyncio.gather(*visits)


async def test_tasks_of_one_tenant_hold_up_no_upload_of_another() -> None:
    """Its own uploads they do."""
    visitors = Visitors(1)
    visits = await fill(visitors, Lane.TASKS, "busy", 3)
    visits += await fill(visitors, UPLOADS, "busy", 1)
    visits += await fill(visitors, UPLOADS, "honest", 1)
    visitors.leave.set()
    await asyncio.gather(*visits)
    assert visitors.came == ["busy0", "honest0", "busy1", "busy2", "busy0"]


@pytest.mark.parametrize("lane", [RESULTS, Lane.TASKS])
async def test_what_tasks_need_is_never_refused(lane: Lane) -> None:
    visitors = Visitors(1)
    visits = await fill(visitors, lane, "one", 2 * MOST_OF_ALL)
    visitors.leave.set()
    await asyncio.gather(*visits)
    assert len(visitors.came) == 2 * MOST_OF_ALL


async def test_a_result_is_looked_at_before_all_uploads_that_wait() -> None:
    """In a real pool: one tenant's hundred pictures hold up no result of another's."""
    pool = WorkerPool(size=1)
    uploads, results = pool.within(INSPECTION, UPLOADS), pool.within(INSPECTION, RESULTS)
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
