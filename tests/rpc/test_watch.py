"""WatchTask: every event once, in order, gapless, resumable; the stream's end tells the truth (P9 to P13)."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_server.access.watches import MAX_PER_CONNECTION
from imageedit_server.rpc import streams
from tests.rpc.calls import assert_presentable, call, outcome_of
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, open_channel, serving
from tests.rpc.waiting import eventually
from tests.rpc.world import create, finish, upload

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMINAL = {
    task_pb2.Task.STATE_SUCCEEDED,
    task_pb2.Task.STATE_FAILED,
    task_pb2.Task.STATE_CANCELLED,
}
TASKS = 200
HEARTBEAT_SECONDS = 15.0
GRACE_SECONDS = 20.0
"""What a drain gives to calls that go on."""
SECONDS = 0.2
STEPS = 5
STALLED = 1000
WINDOW_CLOSED = (("grpc.http2.lookahead_bytes", 1), ("grpc.http2.bdp_probe", 0))
"""Options of a connection: nothing may be sent ahead of what is read."""
PROMPT = 32_000
"""Characters, so that 50 events of 1000 watchers are 1.6 GB."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server whose scripted provider takes a moment and reports progress."""
    scripted = f"{SCRIPTED}seconds = {SECONDS}\nsteps = {STEPS}\n"
    async with serving(tmp_path_factory.mktemp("server"), scripted) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def png(served: Served) -> str:
    """A stored picture."""
    return await upload(served, PNG)


async def watched(served: Served, task_id: str, after_seq: int = 0) -> list[task_pb2.TaskEvent]:
    """Watch to the end, which must be OK, and hold what came against the promises of a watch."""
    rpc = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id, after_seq=after_seq), timeout=60)
    events = [response.event async for response in rpc if response.HasField("event")]
    assert await rpc.code() is grpc.StatusCode.OK
    assert_complete(events, after_seq)
    return events


def assert_complete(events: list[task_pb2.TaskEvent], after_seq: int = 0) -> None:
    """P9 and P12: gapless from ``after_seq`` on, in order, once; one terminal event, the last."""
    assert [event.seq for event in events] == list(range(after_seq + 1, after_seq + 1 + len(events)))
    assert [event.seq for event in events] == [event.task.seq for event in events]
    terminal = [event.seq for event in events if event.task.state in TERMINAL]
    assert terminal == [event.seq for event in events[-1:]]
    percents = [event.task.progress_percent for event in events]
    assert percents == sorted(percents)


# Complete


async def test_200_watchers_of_200_tasks_see_everything_once(served: Served, png: str) -> None:
    """All finish, and every watcher saw seq 1..n once each."""
    made = [await create(served, png) for _ in range(TASKS)]
    lists = await asyncio.gather(*(watched(served, task.task_id) for task in made))
    for task, events in zip(made, lists, strict=True):
        assert events[-1].task.state == task_pb2.Task.STATE_SUCCEEDED
        assert {event.task.task_id for event in events} == {task.task_id}
        assert len(events) > STEPS


async def test_200_watchers_of_one_task_see_the_same(served: Served, png: str) -> None:
    """F67: watchers that come at any moment all get the same events."""
    task = await create(served, png)
    lists = await asyncio.gather(*(watched(served, task.task_id) for _ in range(100)))
    lists += await asyncio.gather(*(watched(served, task.task_id) for _ in range(100)))
    assert all(events == lists[0] for events in lists)


async def test_a_watch_resumes_at_every_seq(served: Served, png: str) -> None:
    """F65: after k of n events come exactly k+1 to n, on a finished task and on a running one."""
    task = await create(served, png)
    resumed = [asyncio.ensure_future(watched(served, task.task_id))]
    rpc = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id), timeout=60)
    async for response in rpc:  # each seq, as soon as it exists
        resumed.append(asyncio.ensure_future(watched(served, task.task_id, response.event.seq)))
    whole, *parts = await asyncio.gather(*resumed)
    assert len(parts) == len(whole)
    for seq, part in enumerate(parts, start=1):
        assert part == whole[seq:]
    for seq in range(len(whole) + 1):
        assert await watched(served, task.task_id, seq) == whole[seq:]


@pytest.mark.parametrize("model", ["scripted/ok", "scripted/fail"])
async def test_a_watch_of_an_ended_task_ends_ok_at_once(served: Served, png: str, model: str) -> None:
    """F66: from the beginning the whole story; from the last seq nothing, and OK."""
    done = await finish(served, await create(served, png, model=model))
    assert (await watched(served, done.task_id))[-1].task == done
    assert await watched(served, done.task_id, done.seq) == []


async def test_cancelling_ends_every_watch_with_the_terminal_event(served: Served, png: str) -> None:
    """P12: exactly one terminal event, then OK."""
    task = await create(served, png, model="scripted/never")
    watches = [asyncio.ensure_future(watched(served, task.task_id)) for _ in range(20)]
    await eventually(lambda: served.feed.followers(task.task_id) == len(watches))
    await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))
    for events in await asyncio.gather(*watches):
        assert events[-1].task.state == task_pb2.Task.STATE_CANCELLED


async def test_an_event_arrives_soon_after_its_commit(served: Served, png: str) -> None:
    """P10: woken by the commit. How soon that is, is measured where nothing else goes on."""
    delays = []
    for _ in range(10):
        task = await create(served, png)
        async for response in served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id)):
            delays.append(time.time() - response.event.time.ToMilliseconds() / 1000)
    assert len(delays) > 50
    assert sorted(delays)[len(delays) // 2] < HEARTBEAT_SECONDS / 3  # whoever is not woken waits for that


# Silence


async def test_heartbeats_say_up_to_where_everything_was_sent(
    served: Served, png: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9, P10: while nothing happens, each carries the last seq that was sent; the log goes on after them."""
    monkeypatch.setattr(served.server.use_cases.watching, "heartbeat_seconds", 0.02)
    task = await create(served, png, model="scripted/never")
    last, beats = 0, 0
    async for response in served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id), timeout=60):
        if response.HasField("event"):
            assert response.event.seq == last + 1
            last = response.event.seq
        else:
            assert response.heartbeat.seq == last
            beats += 1
            if beats == 5:
                await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))
    assert beats >= 5
    assert last == (await served.stub.GetTask(pb.GetTaskRequest(task_id=task.task_id))).task.seq


async def test_a_heartbeat_comes_when_resumed_at_the_last_seq(
    served: Served, png: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch with nothing to send yet is not silent either."""
    monkeypatch.setattr(served.server.use_cases.watching, "heartbeat_seconds", 0.02)
    task = await create(served, png, model="scripted/never")
    rpc = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id, after_seq=1), timeout=60)
    async for response in rpc:
        if response.HasField("heartbeat"):
            break
    rpc.cancel()
    await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))


# Leaving


async def test_watchers_that_leave_are_forgotten(served: Served, png: str) -> None:
    """Cancelled, past their deadline, or with a connection that went away: nobody follows any more."""
    task = await create(served, png, model="scripted/never")
    request = pb.WatchTaskRequest(task_id=task.task_id)

    def following() -> int:
        return served.feed.followers(task.task_id)

    cancelled = [served.stub.WatchTask(request) for _ in range(20)]
    for rpc in cancelled:
        await rpc.read()
    assert following() == 20
    for rpc in cancelled:
        rpc.cancel()
    await eventually(lambda: following() == 0)

    late = [served.stub.WatchTask(request, timeout=0.2) for _ in range(20)]
    codes = [(await outcome_of(rpc)).code for rpc in late]
    assert set(codes) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    await eventually(lambda: following() == 0)

    async with open_channel(served.server.grpc_address) as channel:
        gone = [channel.unary_stream(WATCH, bytes, bytes)(request.SerializeToString()) for _ in range(20)]
        for dead in gone:
            await dead.read()
    await eventually(lambda: following() == 0)
    assert not served.feed.followers(task.task_id)
    await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))


WATCH = "/imageedit.v1.ImageEditService/WatchTask"


# Limits (P13, F72)


async def test_the_801st_watch_of_a_connection_is_refused_at_once(served: Served, png: str) -> None:
    """WATCH_LIMIT, not a silent queue; calls beside them, and other connections, go on."""
    task = await create(served, png, model="scripted/never")
    request = pb.WatchTaskRequest(task_id=task.task_id)
    async with open_channel(served.server.grpc_address) as channel:
        full = Served(served.server, channel, served.data_dir)
        watches = [full.stub.WatchTask(request) for _ in range(MAX_PER_CONNECTION)]
        await asyncio.gather(*(watch.read() for watch in watches))
        outcome = await call(channel, "WatchTask", request)
        assert (outcome.code.name, outcome.reason) == ("RESOURCE_EXHAUSTED", "WATCH_LIMIT")
        assert_presentable(outcome)
        done = await create(full, png)  # beside 800 watches
        assert await watched(served, done.task_id)  # on another connection
        watches.pop().cancel()
        assert await eventually_watched(full, done.task_id)
    await eventually(lambda: not served.feed.followers(task.task_id))
    await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))


async def eventually_watched(served: Served, task_id: str) -> bool:
    """Whether a place is free again soon after a watch was closed."""

    async def holds() -> bool:
        outcome = await call(served.channel, "WatchTask", pb.WatchTaskRequest(task_id=task_id))
        return outcome.code is grpc.StatusCode.OK

    await eventually(holds)
    return True


async def test_the_limit_of_a_tenant_counts_all_connections(tmp_path: Path) -> None:
    """limits.watches; a place is free again when a watch ends, also one that is refused."""
    async with serving(tmp_path, SCRIPTED, "[limits]\nwatches = 2\n") as served:
        task = await create(served, await upload(served, PNG), model="scripted/never")
        request = pb.WatchTaskRequest(task_id=task.task_id)
        async with open_channel(served.server.grpc_address) as channel:
            other = Served(served.server, channel, served.data_dir)
            first, second = served.stub.WatchTask(request), other.stub.WatchTask(request)
            await first.read()
            await second.read()
            for door in (served, other):
                assert (await call(door.channel, "WatchTask", request)).reason == "WATCH_LIMIT"
            second.cancel()
            await eventually(lambda: served.feed.followers(task.task_id) == 1)
            for _ in range(3):
                unknown = pb.WatchTaskRequest(task_id="x")
                assert (await call(served.channel, "WatchTask", unknown)).reason == "TASK_NOT_FOUND"
            assert await watched(served, (await create(served, await upload(served, PNG))).task_id)
            first.cancel()
        assert (
            await call(served.channel, "WatchTask", pb.WatchTaskRequest(task_id="x"))
        ).reason == "TASK_NOT_FOUND"
        assert (
            await call(served.channel, "WatchTask", pb.WatchTaskRequest(task_id="x"))
        ).reason == "TASK_NOT_FOUND"


async def test_a_watcher_that_does_not_read_is_sent_away_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: SLOW_CONSUMER with last-seq; the others see everything at once; the resumed watch has the rest."""
    monkeypatch.setattr(streams, "SLOW_CONSUMER_SECONDS", 4)
    scripted = f"{SCRIPTED}seconds = 0.1\nsteps = 100\n"
    async with serving(tmp_path, scripted) as served:
        prompt = "\U00020000" * 32_000  # each event carries its 128 KB: together more than may be in flight
        task = await create(served, await upload(served, PNG), prompt=prompt)
        slow = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
        quick = await watched(served, task.task_id)
        assert len(quick) > 100
        await eventually(lambda: not served.feed.is_followed)
        outcome, seqs = await _rest(slow)
        assert (outcome.code.name, outcome.reason) == ("RESOURCE_EXHAUSTED", "SLOW_CONSUMER")
        assert seqs == list(range(1, len(seqs) + 1))
        assert 0 < int(outcome.trailer["last-seq"]) < quick[-1].seq
        assert await watched(served, task.task_id, len(seqs)) == quick[len(seqs) :]


async def test_a_thousand_watchers_that_never_read_hold_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13, T8: each costs about one event, not all of them; others see everything and edits go on meanwhile.

    Their windows are closed from the start, so that not even the first event gets through before they read.
    """
    monkeypatch.setattr(streams, "SLOW_CONSUMER_SECONDS", 4)
    scripted = f"{SCRIPTED}concurrency = 1\nseconds = 0.5\nsteps = 50\n"
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(tmp_path, scripted))
        doors = [
            await stack.enter_async_context(open_channel(served.server.grpc_address, *WINDOW_CLOSED))
            for _ in range(-(-STALLED // MAX_PER_CONNECTION))
        ]
        png = await upload(served, PNG)
        blocker = await create(served, png, model="scripted/never")
        task = await create(served, png, prompt="x" * PROMPT)
        request = pb.WatchTaskRequest(task_id=task.task_id)
        stubs = [ImageEditServiceStub(door) for door in doors]
        stalled = [stubs[number % len(stubs)].WatchTask(request, timeout=60) for number in range(STALLED)]
        await eventually(lambda: served.feed.followers(task.task_id) == STALLED)
        before = _resident_bytes()
        await served.stub.CancelTask(pb.CancelTaskRequest(task_id=blocker.task_id))
        quick = await watched(served, task.task_id)
        assert await watched(served, (await create(served, png)).task_id)
        assert _resident_bytes() - before < STALLED * len(quick) * PROMPT / 8
        await eventually(lambda: not served.feed.is_followed)
        for slow in stalled[:: STALLED // 4]:
            outcome, seqs = await _rest(slow)
            assert (outcome.code.name, outcome.reason) == ("RESOURCE_EXHAUSTED", "SLOW_CONSUMER")
            assert outcome.trailer["last-seq"] == "0"
            assert seqs == [1]
        assert await watched(served, task.task_id, 1) == quick[1:]


def _resident_bytes() -> int:
    """Return the memory of this process, in which the server and its callers are."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Stopping (P12, P24)


async def test_a_drain_ends_watches_with_their_last_seq(tmp_path: Path) -> None:
    """P24: UNAVAILABLE, DRAINING, last-seq, a time to retry; and a restart has the rest."""
    async with serving(tmp_path, SCRIPTED) as served:
        task = await create(served, await upload(served, PNG), model="scripted/never")
        request = pb.WatchTaskRequest(task_id=task.task_id)
        watches = [served.stub.WatchTask(request) for _ in range(50)]
        for watch in watches:
            assert await watch.read()
        draining = asyncio.ensure_future(served.server.drain())
        started = time.monotonic()
        outcomes = await asyncio.gather(*(_rest(watch) for watch in watches))
        await draining
        assert time.monotonic() - started < GRACE_SECONDS / 2
    for outcome, events in outcomes:
        assert (outcome.code.name, outcome.reason) == ("UNAVAILABLE", "DRAINING")
        assert_presentable(outcome)
        assert outcome.retry_seconds
        assert int(outcome.trailer["last-seq"]) == (events[-1] if events else 1)
    async with serving(tmp_path, SCRIPTED) as served:
        await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))
        for outcome, _ in outcomes[:3]:
            assert await watched(served, task.task_id, int(outcome.trailer["last-seq"]))


async def test_a_drain_ends_watches_that_were_just_begun(tmp_path: Path) -> None:
    """However a watch and the stop meet: it ends soon, never only when the grace runs out."""
    for round_number in range(3):
        async with serving(tmp_path / str(round_number), SCRIPTED) as served:
            task = await create(served, await upload(served, PNG), model="scripted/never")
            stable = await _stable_seq(served, task.task_id)
            request = pb.WatchTaskRequest(task_id=task.task_id, after_seq=stable)
            watches = [served.stub.WatchTask(request) for _ in range(200)]
            await eventually(lambda: served.feed.is_followed)
            started = time.monotonic()
            draining = asyncio.ensure_future(served.server.drain())
            outcomes = await asyncio.gather(*(_rest(watch) for watch in watches))
            assert time.monotonic() - started < GRACE_SECONDS / 2
            # The library cancels what it had accepted and not yet handed to us.
            codes = {outcome.code for outcome, _ in outcomes}
            assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
            await draining


async def _stable_seq(served: Served, task_id: str) -> int:
    """Return the last seq of a task that waits for its vendor, where nothing happens any more."""
    async for response in served.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id), timeout=60):
        if response.event.task.stage == task_pb2.Task.STAGE_WAITING:
            return response.event.seq
    raise AssertionError


async def _rest(watch):
    """Read a watch to its end; answer how it ended and the seqs that came."""
    seqs = []
    try:
        while (response := await watch.read()) is not grpc.aio.EOF:
            seqs.append(response.event.seq)
    except grpc.aio.AioRpcError:
        pass
    return await outcome_of(watch), seqs
