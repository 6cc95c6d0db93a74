"""How soon, and how fast, watchers learn of what happens now.

The latency counts from the time in the event, which is taken before its commit: it holds the commit, the way
through the service and the client's own queue. Paced: one task that reports progress every 200 ms, and many
tasks of which 16 are worked on at a time. A task also begins and ends, which is two or three events at once;
the baseline tells its own in the same rhythm. Flooded: one task that changes as fast as it can, beside a
baseline that has all its events at once.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from tests.bench.accepts import edit, upload
from tests.bench.bare import ticking
from tests.bench.bench import Bench, Stub, connected
from tests.bench.figures import Figure, Goal, Turn, compared, counted, percentile
from tests.bench.streams import Arrivals, all_first, all_rest, watching
from tests.servers.processes import Server

RATE_GOAL = Goal(bound=0.7)
CROWD_RATE_GOAL = Goal(bound=0.75)
LATENCY_GOAL = Goal(bound=50, at_most=True)
CROWD_LATENCY_GOAL = Goal(bound=1.2, at_most=True)
"""Beside the baseline's, for a crowd that watches one task: its client alone needs more than 50 ms."""
CROWD = 1000
PACE_SECONDS = 0.2
FLOOD_EVENTS = 100
CALM_SECONDS = 0.5
"""How long the baseline waits before its flood: until the client has read the first messages."""
STEPS = 2
EVENTS_BESIDE_STEPS = 6
TASK_SECONDS = 1.0
CONFIG = """
[providers.paced]
adapter = "scripted"
concurrency = 1
seconds = {paced_seconds}
steps = {paced_events}

[providers.flood]
adapter = "scripted"
concurrency = 1
steps = {flood_events}

[providers.many]
adapter = "scripted"
concurrency = {at_a_time}
seconds = {task_seconds}
steps = {steps}
"""


@dataclass(frozen=True)
class Heard:
    """What all watchers heard in one turn."""

    turn: Turn
    latencies_ms: list[float]
    moments: list[float]
    """When its events happened, in s."""

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        return percentile(self.latencies_ms, percent)


async def measure(bench: Bench) -> list[Figure]:
    """Compare rates and latencies."""
    config = CONFIG.format(
        at_a_time=bench.scale.live_at_a_time,
        paced_seconds=PACE_SECONDS * bench.scale.live_events,
        paced_events=bench.scale.live_events,
        flood_events=FLOOD_EVENTS,
        steps=STEPS,
        task_seconds=TASK_SECONDS,
    )
    figures = []
    async with bench.ours(config) as ours, connected(ours.address) as stub:
        image_id = await upload(stub)
        event = await _usual_event(stub, image_id)
        async with bench.bare(event=event) as bare:
            for watchers in bench.scale.watchers:
                house = _House(ours, stub, image_id, watchers, bench.scale.live_at_a_time)
                figures += await _paced(bench, house, bare)
                if watchers > 1:
                    figures += await _many(bench, house, bare)
                    figures += await _flood(bench, house, bare)
    return figures


async def _paced(bench: Bench, house: "_House", bare: Server) -> list[Figure]:
    rhythm: list[float] = []

    async def ours() -> Heard:
        heard = await house.one("paced")
        rhythm[:] = [later - earlier for earlier, later in pairwise(heard.moments)]
        return heard

    async def baseline() -> Heard:
        return await _bare(bare, [ticking(rhythm, streams=house.watchers)] * house.watchers)

    heard = await bench.alternate(
        f"watch, {counted(house.watchers, 'watcher')} of one task live",
        ours,
        baseline,
        rounds=bench.scale.live_rounds,
    )
    return _latencies(f"{counted(house.watchers, 'watcher')} of one task", house.watchers >= CROWD, *heard)


async def _many(bench: Bench, house: "_House", bare: Server) -> list[Figure]:
    """The baseline tells about as many events per second, each stream on its own."""
    per_second = house.at_a_time * (STEPS + EVENTS_BESIDE_STEPS)
    seconds = PACE_SECONDS * bench.scale.live_events
    heard = await bench.alternate(
        f"watch, {house.watchers} tasks live",
        partial(house.many, seconds),
        partial(_bare, bare, [ticking([house.watchers / per_second] * 2)] * house.watchers),
        rounds=bench.scale.live_rounds,
    )
    return _latencies(f"{counted(house.watchers, 'watcher')} of as many tasks", False, *heard)


async def _flood(bench: Bench, house: "_House", bare: Server) -> list[Figure]:
    """Both begin when every watcher has its first message."""
    sudden = [CALM_SECONDS, *[0.0] * (FLOOD_EVENTS - 1)]
    ours, baseline = await bench.alternate(
        f"watch, {counted(house.watchers, 'watcher')} of a flood",
        partial(house.one, "flood"),
        partial(_bare, bare, [ticking(sudden, streams=house.watchers)] * house.watchers),
        rounds=bench.scale.live_rounds,
    )
    name = f"live flood to {counted(house.watchers, 'watcher')} of one task"
    turns, bare_turns = ([heard.turn for heard in each] for each in (ours, baseline))
    goal = CROWD_RATE_GOAL if house.watchers >= CROWD else RATE_GOAL
    return compared("watch", name, "event", turns, bare_turns, goal)


def _latencies(name: str, of_a_crowd: bool, ours: Sequence[Heard], baseline: Sequence[Heard]) -> list[Figure]:
    goal = CROWD_LATENCY_GOAL if of_a_crowd else LATENCY_GOAL
    return [
        Figure(
            measurement="watch",
            name=f"latency p{percent}, {name}",
            unit="ms",
            ours=tuple(heard.percentile(percent) for heard in ours),
            baseline=tuple(heard.percentile(percent) for heard in baseline),
            goal=goal if percent == 99 else None,
            absolute=not of_a_crowd,
        )
        for percent in (50, 99)
    ]


@dataclass(frozen=True)
class _House:
    server: Server
    stub: Stub
    image_id: str
    watchers: int
    at_a_time: int

    async def one(self, provider: str) -> Heard:
        """Watch one task, which its provider begins when every watcher is there."""
        blocker = await self._create(f"{provider}/never")
        task = await self._create(f"{provider}/ok")
        async with watching(self.server.address, [task] * self.watchers) as watchers:
            await all_first(watchers)
            begun, busy = time.time_ns(), self.server.processor_seconds()
            await self._cancel(blocker)
            await all_rest(watchers)
            busy = self.server.processor_seconds() - busy
            return _heard(watchers, begun, begun, time.time_ns(), busy)

    async def many(self, seconds: float) -> Heard:
        """Watch as many tasks while the provider works on a few at a time, one begun after the other.

        That goes on for ``seconds`` after the first has ended; then the others are cancelled.
        """
        blockers = [await self._create("many/never") for _ in range(self.at_a_time)]
        tasks = await asyncio.gather(*(self._create("many/ok") for _ in range(self.watchers)))
        async with watching(self.server.address, tasks) as watchers:
            await all_first(watchers)
            begun, busy = time.time_ns(), self.server.processor_seconds()
            hearing = [asyncio.create_task(watcher.rest()) for watcher in watchers]
            for blocker in blockers:
                await self._cancel(blocker)
                await asyncio.sleep(TASK_SECONDS / self.at_a_time)
            await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(seconds)
            until = time.time_ns()
            for task in reversed(tasks):  # so that none of them begins meanwhile
                await self._cancel(task)
            await asyncio.gather(*hearing)
            busy = self.server.processor_seconds() - busy
            return _heard(watchers, begun, begun, until, busy)

    async def _cancel(self, task: str) -> None:
        await self.stub.CancelTask(pb.CancelTaskRequest(task_id=task))

    async def _create(self, model: str) -> str:
        return str((await self.stub.EditImage(edit(self.image_id, model))).task.task_id)


async def _bare(server: Server, streams: Sequence[str]) -> Heard:
    opened = time.time_ns()
    async with watching(server.address, streams) as watchers:
        await all_first(watchers)
        begun, busy = time.time_ns(), server.processor_seconds()
        await all_rest(watchers)
        busy = server.processor_seconds() - busy
        return _heard(watchers, opened, begun, time.time_ns(), busy)


def _heard(watchers: Sequence[Arrivals], since: int, begun: int, until: int, busy: float) -> Heard:
    """Only what happened between ``since`` and ``until`` is live; the first message of each watch is not."""
    last = max(watcher.messages[-1][0] for watcher in watchers)
    delivered = sum(len(watcher.messages) - 1 for watcher in watchers)
    latencies = [latency for watcher in watchers for latency in watcher.latencies_ms(since, until)]
    moments = watchers[0].moments(since, until)
    first = moments[0] if moments else begun / 1e9
    turn = Turn(delivered / (last / 1e9 - first), 1e6 * busy / delivered)
    return Heard(turn, latencies, [begun / 1e9, *moments])


async def _usual_event(stub: Stub, image_id: str) -> Message:
    """Return an event of progress, which is of the usual size."""
    task = (await stub.EditImage(edit(image_id, "flood/ok"))).task.task_id
    async for told in stub.WatchTask(pb.WatchTaskRequest(task_id=task)):
        if told.event.task.progress_percent > 0:
            return told
    raise RuntimeError(task_pb2.Task.State.Name(told.event.task.state))
