"""How many stored events per second reach watchers that begin at the beginning, of one task or of many.

The tasks are finished, so what is measured is the delivery and not how fast a task changes. The baseline
sends as many messages of the same size to as many streams.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.bench.bare import burst
from tests.bench.bench import Bench, connected
from tests.bench.figures import Figure, Goal, Turn, compared, counted
from tests.bench.processes import module, run_to_end
from tests.bench.stored import task_id
from tests.bench.streams import all_rest, watching
from tests.servers.processes import Server

GOAL = Goal(bound=0.7)


async def measure(bench: Bench) -> list[Figure]:
    """Compare the rates."""
    figures = []
    for watchers in bench.scale.watchers:
        figures += await _deliver(bench, watchers)
    return figures + await _deliver_to_crowd(bench)


async def _deliver_to_crowd(bench: Bench) -> list[Figure]:
    """Every task is watched by as many, over a few connections."""
    crowd = bench.scale.crowd
    folder = await _stored(bench, crowd.tasks, crowd.events)
    tasks = [task_id(1 + number % crowd.tasks) for number in range(crowd.watchers)]
    async with (
        bench.ours(folder=folder) as ours,
        bench.bare(event=await _middle(ours.address, crowd.events)) as bare,
    ):
        name = f"{counted(crowd.watchers, 'watcher')} of {crowd.tasks} tasks, {crowd.connections} connections"
        streams = [burst(crowd.events)] * crowd.watchers
        turns, bare_turns = await bench.alternate(
            f"watch, {name}",
            partial(_turn, ours, tasks, crowd.events, crowd.connections),
            partial(_turn, bare, streams, crowd.events, crowd.connections),
        )
        return compared("watch", f"stored events to {name}", "event", turns, bare_turns, GOAL)


async def _stored(bench: Bench, tasks: int, events: int) -> Path:
    folder = bench.new_folder()
    bench.say(f"watch: storing {tasks} tasks of {events} events")
    await run_to_end(
        module("stored", str(folder / "data"), str(tasks), str(events), "0", python=bench.python)
    )
    return folder


async def _deliver(bench: Bench, watchers: int) -> list[Figure]:
    events = max(bench.scale.deliveries // watchers, 10)
    folder = await _stored(bench, watchers, events)
    one, many = [task_id(1)] * watchers, [task_id(number) for number in range(1, watchers + 1)]
    async with (
        bench.ours(folder=folder) as ours,
        bench.bare(event=await _middle(ours.address, events)) as bare,
    ):
        figures = []
        for whose, tasks in (("one task", one), ("as many tasks", many))[:watchers]:
            name = f"{counted(watchers, 'watcher')} of {whose}"
            turns, bare_turns = await bench.alternate(
                f"watch, {name}",
                partial(_turn, ours, tasks, events),
                partial(_turn, bare, [burst(events)] * watchers, events),
            )
            figures += compared("watch", f"stored events to {name}", "event", turns, bare_turns, GOAL)
        return figures


async def _middle(address: str, events: int) -> pb.WatchTaskResponse:
    """Return an event from the middle of a task, which is of the usual size."""
    async with connected(address) as stub:
        call = stub.WatchTask(pb.WatchTaskRequest(task_id=task_id(1), after_seq=events // 2))
        event = await call.read()
        assert isinstance(event, pb.WatchTaskResponse)
        return event


async def _turn(server: Server, tasks: Sequence[str], events: int, connections: int = 0) -> Turn:
    busy, started = server.processor_seconds(), time.perf_counter()
    async with watching(server.address, tasks, connections=connections) as watchers:
        await all_rest(watchers)
        elapsed = time.perf_counter() - started
    assert all(len(watcher.messages) == events for watcher in watchers)
    delivered = events * len(tasks)
    return Turn(delivered / elapsed, 1e6 * (server.processor_seconds() - busy) / delivered)
