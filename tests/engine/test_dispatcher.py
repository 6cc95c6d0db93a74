"""The dispatcher: how many at once, who goes first, what a lease is worth, how to stop (P7, P8, P24, F19)."""

import asyncio
import gc
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import Refusal
from imageedit_server.core.task import Outcome, Stage, State
from imageedit_server.providers.base import Accepted, Finished, InProgress, Job, Prepared, Report
from imageedit_server.store.attempts import begin_attempt
from imageedit_server.store.claims import claim
from tests.engine.house import (
    DONE,
    RESULT_ID,
    TENANT,
    Door,
    House,
    Vendor,
    accept,
    finish_now,
    just_prepare,
)
from tests.engine.virtual_time import VirtualTimeLoop


class Busy:
    """A vendor that counts who is at work."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def submit(self, job: Job, report: Report) -> Finished:
        provider = job.model.provider
        for name in (provider, "all"):
            self.now[name] += 1
            self.most[name] = max(self.most[name], self.now[name])
        await self.house.clock.sleep(len(job.request.prompt))
        self.now.subtract([provider, "all"])
        return DONE


PROVIDERS = ("plain", "keyed", "correlated")


@settings(max_examples=8)
@given(
    tasks=st.lists(st.tuples(st.sampled_from(PROVIDERS), st.integers(1, 9)), min_size=8, max_size=14),
    together=st.integers(1, 6),
    each=st.integers(1, 4),
)
def test_no_more_at_once_than_is_allowed(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[tuple[str, int]], together: int, each: int
) -> None:
    """``engine.concurrency`` and every provider's own limit hold, whatever comes; and all of it gets done."""

    async def run() -> None:
        vendor = Vendor()
        folder = tmp_path_factory.mktemp("house")
        async with House(folder, vendor, concurrency=together, concurrency_each=each) as house:
            busy = Busy(house)
            vendor.submit = busy.submit
            ids = [await house.create(provider, prompt="x" * length) for provider, length in tasks]
            for task_id in ids:
                assert (await house.ended(task_id)).status.images
            assert busy.most["all"] <= together
            assert all(busy.most[provider] <= each for provider in PROVIDERS)
            wanted = min(together, sum(min(each, [p for p, _ in tasks].count(q)) for q in PROVIDERS))
            assert busy.most["all"] >= min(wanted, 2)  # and it does use the room

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


async def test_the_oldest_goes_first(tmp_path: Path, vendor: Vendor) -> None:
    vendor.submit = finish_now
    house = House(tmp_path, vendor, concurrency=1)
    await house.start(serve=False)
    ids = [await house.create() for _ in range(5)]
    house.serving = asyncio.create_task(house.dispatcher.serve())
    for task_id in ids:
        await house.ended(task_id)
    assert vendor.paid == [f"{task_id}-1" for task_id in ids]
    await house.stop()


async def test_a_free_place_is_taken_at_once(tmp_path: Path, vendor: Vendor) -> None:
    """Hints, not sweeps, move the queue: 20 tasks one after the other take no time at all."""
    vendor.submit = finish_now
    async with House(tmp_path, vendor, concurrency=1) as house:
        started = house.clock.now()
        ids = [await house.create() for _ in range(20)]
        for task_id in ids:
            await house.ended(task_id)
        assert house.clock.now() == started


async def test_one_providers_trouble_is_its_own(tmp_path: Path, vendor: Vendor) -> None:
    """A vendor that hangs on every task of its own does not keep another's waiting."""

    async def submit(job: Job, report: Report) -> Finished:
        if job.model.provider == "plain":
            await house.clock.sleep(10_000)
        return DONE

    vendor.submit = submit
    async with House(tmp_path, vendor, concurrency=8, concurrency_each=4) as house:
        stuck = [await house.create("plain") for _ in range(30)]
        started = house.clock.now()
        for _ in range(10):
            assert (await house.ended(await house.create("keyed"))).status.images
        assert house.clock.now() == started
        assert (await house.get(stuck[-1])).status.state is State.QUEUED


async def test_a_provider_that_is_down_does_not_stop_another(house: House, vendor: Vendor) -> None:
    """P15: its breaker opens for itself alone, its tasks stay queued, and none of them is lost."""
    down = True

    async def submit(job: Job, report: Report) -> Finished:
        if job.model.provider == "plain" and down:
            raise ConnectionResetError
        return DONE

    vendor.submit = submit
    for _ in range(6):
        await house.ended(await house.create("plain"))
    paid = len(vendor.paid)
    waiting = await house.create("plain")
    assert (await house.ended(await house.create("keyed"))).status.images
    await house.clock.sleep(20)
    assert (await house.get(waiting)).status.state is State.QUEUED
    assert len(vendor.paid) == paid + 1
    down = False
    assert (await house.ended(waiting)).status.images


# Leases


async def test_a_long_call_keeps_its_lease(house: House, vendor: Vendor) -> None:
    """The lease is renewed every third of its length while the call runs."""

    async def submit(job: Job, report: Report) -> Accepted:
        await house.clock.sleep(59)
        return await accept(job, report)

    vendor.submit = submit
    task_id = await house.create()
    await house.reached(task_id, Stage.SUBMITTING)
    await house.clock.sleep(45)
    assert await take_over(house) == []
    assert (await house.ended(task_id)).status.images


async def take_over(house: House, after: timedelta = timedelta(0)) -> list[str]:
    """Claim as another worker would whose clock is ``after`` ahead."""
    now = house.clock.now() + after
    claims = await house.database.record(
        claim,
        now=now,
        lease_until=now + timedelta(hours=1),
        free_by_provider=dict.fromkeys((*house.providers, ""), 9),
        most=9,
    )
    return [claimed.task.task_id for claimed in claims.claimed]


async def test_a_worker_that_lost_its_lease_writes_the_fact_only(house: House, vendor: Vendor) -> None:
    """P8, F34: it finishes the call, keeps what the vendor said, and leaves the decision to the new owner."""
    door = Door()

    async def held(job: Job, report: Report) -> Accepted:
        await door.wait()
        await report(progress_percent=50)
        return await accept(job, report)

    vendor.submit = held
    task_id = await house.create()
    await door.arrived.wait()
    assert await take_over(house, timedelta(seconds=31)) == [task_id]
    before = await house.events_now(task_id)
    door.open()
    await house.clock.sleep(60)
    assert await house.events_now(task_id) == before
    [attempt] = (await house.get(task_id)).status.attempts
    assert (attempt.outcome, attempt.vendor_task_id) == (Outcome.ACCEPTED, f"v-{task_id}-1")
    assert house.dispatcher.under_way == {}


async def test_a_sync_result_of_a_worker_that_lost_its_lease_is_kept(house: House, vendor: Vendor) -> None:
    door = Door()

    async def held(job: Job, report: Report) -> Finished:
        await door.wait()
        return DONE

    vendor.submit = held
    task_id = await house.create()
    await door.arrived.wait()
    await take_over(house, timedelta(seconds=31))
    door.open()
    await house.clock.sleep(60)
    [attempt] = (await house.get(task_id)).status.attempts
    assert attempt.outcome is Outcome.SUCCEEDED
    assert [image.image_id for image in attempt.late_images] == [RESULT_ID]


async def test_a_paused_process_does_not_take_over_from_itself(house: House, vendor: Vendor) -> None:
    """F34: after SIGSTOP beyond the lease, the call that is still under way is answered to its own task."""
    door = Door()

    async def held(job: Job, report: Report) -> Accepted | Finished:
        if job.model.provider == "free":
            return DONE
        await door.wait()
        return await accept(job, report)

    vendor.submit = held
    task_id = await house.create()
    await door.arrived.wait()
    house.clock.step += timedelta(minutes=2)  # as seen by a process that was stopped meanwhile
    assert (await house.ended(await house.create("free"))).status.images  # makes it claim before it renews
    assert (await house.get(task_id)).status.stage is Stage.SUBMITTING
    door.open()
    task = await house.ended(task_id)
    assert task.status.images
    assert vendor.paid.count(f"{task_id}-1") == 1
    assert len(task.status.attempts) == 1
    await house.clock.sleep(1)
    assert house.dispatcher.under_way == {}


async def test_work_that_breaks_off_is_taken_up_again(house: House, vendor: Vendor) -> None:
    """A defect of ours costs one lease, not the task."""
    tries = []

    async def prepare(job: Job) -> Prepared:
        tries.append(job.attempt_key)
        if len(tries) == 1:
            raise RuntimeError("a defect")
        return await just_prepare(job)

    vendor.prepare = prepare
    started = house.clock.now()
    task = await house.ended(await house.create())
    assert task.status.images
    assert house.clock.now() - started <= timedelta(seconds=45)  # P7


# Draining


async def test_draining_lets_paid_calls_end(house: House, vendor: Vendor) -> None:
    """P24: in-flight paid calls are waited for; nothing else is, and nothing is lost."""
    door, preparing = Door(), Door()

    async def held(job: Job, report: Report) -> Accepted:
        await door.wait()
        return await accept(job, report)

    async def prepare(job: Job) -> Prepared:
        if job.request.prompt == "preparing":
            await preparing.wait()
        return await just_prepare(job)

    async def never(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.prepare = prepare
    vendor.poll = never
    waiting = await house.create()
    await house.reached(waiting, Stage.WAITING)
    vendor.submit = held
    paying = await house.create()
    await door.arrived.wait()
    other = await house.create(prompt="preparing")
    await preparing.arrived.wait()
    creating = asyncio.create_task(house.create())  # begins before the drain, and is durable after
    draining = asyncio.create_task(house.dispatcher.drain(20))
    await asyncio.sleep(1)
    assert not draining.done()
    queued = await creating
    door.open()
    preparing.open()
    await draining
    assert house.dispatcher.under_way == {}
    assert len(vendor.paid) == 2
    task = await house.get(paying)
    assert task.status.attempts[0].vendor_task_id == f"v-{paying}-1"
    assert (await house.get(queued)).status.state is State.QUEUED
    vendor.poll = Vendor().poll
    vendor.submit = accept
    await house.restart()
    for task_id in (waiting, paying, other, queued):
        assert (await house.ended(task_id)).status.images
        assert len([key for key in vendor.paid if key.startswith(task_id)]) == 1


async def test_draining_does_not_wait_for_ever(house: House, vendor: Vendor) -> None:
    """A call that outlasts the drain is cut; after the restart nobody knows, and it is not re-sent."""

    async def hang(job: Job, report: Report) -> Accepted:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    vendor.submit = hang
    task_id = await house.create()
    await house.reached(task_id, Stage.SUBMITTING)
    started = house.clock.now()
    await house.dispatcher.drain(20)
    assert house.clock.now() - started == timedelta(seconds=20)
    vendor.submit = accept
    await house.restart()
    task = await house.ended(task_id)
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert len(vendor.paid) == 1


async def test_no_paid_call_begins_once_draining_has_begun(house: House, vendor: Vendor) -> None:
    """P24: also not for what a claim that was under way brings in."""
    door = hold_back(house, claim, when=lambda claims: bool(claims.claimed))
    task_id = await house.create()
    await door.arrived.wait()
    draining = asyncio.create_task(house.dispatcher.drain(20))
    await asyncio.sleep(0)
    door.open()
    await draining
    await house.clock.sleep(60)
    assert vendor.paid == []
    assert house.dispatcher.under_way == {}
    await house.restart()
    assert (await house.ended(task_id)).status.images


async def test_a_drain_does_not_part_an_intent_from_its_call(house: House, vendor: Vendor) -> None:
    """P24: a call whose intent is on its way to the disk is made, else nobody would know of it."""
    door = hold_back(house, begin_attempt)
    task_id = await house.create()
    await door.arrived.wait()
    draining = asyncio.create_task(house.dispatcher.drain(20))
    await asyncio.sleep(0)
    door.open()
    await draining
    assert len(vendor.paid) == 1
    await house.restart()
    task = await house.ended(task_id)
    assert task.status.images
    assert [attempt.outcome for attempt in task.status.attempts] == [Outcome.SUCCEEDED]
    assert len(vendor.paid) == 1


def hold_back(house: House, unit: object, when: Callable[[Any], bool] = lambda _: True) -> Door:
    """Return the door behind which the answers to this unit of work wait, those for which ``when`` holds."""
    door, record = Door(), house.database.record

    async def slow(asked: Any, /, *args: Any, **kwargs: Any) -> Any:
        answer = await record(asked, *args, **kwargs)
        if asked is unit and when(answer):
            await door.wait()
        return answer

    house.database.record = slow  # type: ignore[method-assign]
    return door


async def test_a_run_that_is_stopped_before_its_first_step_leaves_nothing_behind(
    house: House, vendor: Vendor
) -> None:
    """Its work is not even made by then: Python would tell of work that nobody awaited."""
    creating = asyncio.create_task(house.create())
    with warnings.catch_warnings(record=True, action="always") as heard:
        while not house.dispatcher.under_way:  # noqa: ASYNC110 - turn by turn: the first step is ahead then
            await asyncio.sleep(0)
        await house.kill()
        gc.collect()
    assert [str(warning.message) for warning in heard] == []
    assert vendor.paid == []
    creating.cancel()
    await house.restart()
    assert (await house.ended(await house.create())).status.images


async def test_leases_are_let_go_of_when_draining(house: House, vendor: Vendor) -> None:
    """Another server need not wait for them to run out."""

    async def never(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.poll = never
    task_id = await house.create()
    await house.reached(task_id, Stage.WAITING)
    await house.dispatcher.drain(0)
    assert await take_over(house) == [task_id]


# A full disk


async def test_a_full_disk_stops_nothing_for_good(tmp_path: Path, vendor: Vendor) -> None:
    """F19: the engine goes on looking; when there is room again, what waited is done."""
    async with House(tmp_path, vendor) as house:
        waiting = await house.create("free", prompt="x" * 90)
        house.database.full = True
        with pytest.raises(Refusal):
            await house.create()
        await house.clock.sleep(300)
        assert not house.serving.done()
        house.database.full = False
        assert (await house.ended(waiting)).status.images
        task_id = await house.create()
        assert (await house.ended(task_id)).status.images


async def test_a_disk_that_is_full_at_the_start_is_waited_for(house: House, vendor: Vendor) -> None:
    """F19: what a dead owner left is taken over when there is room."""
    door = Door()

    async def prepare(job: Job) -> Prepared:
        await door.wait()
        return await just_prepare(job)

    vendor.prepare = prepare
    task_id = await house.create("free")
    await door.arrived.wait()
    await house.kill()
    await house.start(serve=False)
    house.database.full = True
    house.serving = asyncio.create_task(house.dispatcher.serve())
    await house.clock.sleep(60)
    assert not house.serving.done()
    house.database.full = False
    vendor.prepare = just_prepare
    assert (await house.ended(task_id)).status.images


async def test_leases_that_cannot_be_renewed_are_a_trouble_until_they_can(house: House) -> None:
    """PROMISES §7: said as soon as a lease that was not renewed has run out."""
    await house.clock.sleep(100)
    assert house.dispatcher.trouble() == ""
    house.database.full = True
    await house.clock.sleep(60)
    assert "leases were not renewed for" in house.dispatcher.trouble()
    house.database.full = False
    await house.clock.sleep(15)
    assert house.dispatcher.trouble() == ""


async def test_no_paid_call_begins_when_the_intent_cannot_be_written(tmp_path: Path, vendor: Vendor) -> None:
    door = Door()

    async def prepare(job: Job) -> Prepared:
        await door.wait()
        return await just_prepare(job)

    vendor.prepare = prepare
    async with House(tmp_path, vendor) as house:
        task_id = await house.create()
        await door.arrived.wait()
        house.database.full = True
        door.open()
        await house.clock.sleep(120)
        assert vendor.paid == []
        house.database.full = False
        assert (await house.ended(task_id)).status.images
        assert len(vendor.paid) == 1


@pytest.mark.parametrize("sync", [False, True])
async def test_what_a_paid_call_brought_is_kept_until_there_is_room(
    tmp_path: Path, vendor: Vendor, sync: bool
) -> None:
    """P6: a fact that must not be dropped is not dropped because the disk was full for a while."""
    door = Door()

    async def held(job: Job, report: Report) -> Accepted | Finished:
        await door.wait()
        await report(progress_percent=50)
        return await (finish_now if sync else accept)(job, report)

    vendor.submit = held
    async with House(tmp_path, vendor) as house:
        task_id = await house.create()
        await door.arrived.wait()
        house.database.full = True
        door.open()
        await house.clock.sleep(120)
        house.database.full = False
        task = await house.ended(task_id)
        assert [image.image_id for image in task.status.images] == [RESULT_ID]
        assert task.status.billing is Billing.CHARGED
        assert len(vendor.paid) == 1
        assert await house.tasks.get(TENANT, task_id) == task


async def test_a_new_task_is_claimed_in_the_commit_that_creates_it(house: House, vendor: Vendor) -> None:
    await house.clock.sleep(1)  # it has looked once, and waits
    task_id = await house.create()
    assert (await house.get(task_id)).status.state is State.RUNNING
    await house.ended(task_id)
