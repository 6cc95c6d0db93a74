"""How many stored events per second reach watchers that begin at the beginning, of one task or of many.

The tasks are finished, so what is measured is the delivery and not how fast a task changes. The baseline
sends as many messages of the same size to as many streams.
"""

import time
from collections.abc import Sequence
from functools import partial

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.bench.bare import burst
from tests.bench.bench import Bench, connected
from tests.bench.figures import Figure, Goal, counted
from tests.bench.processes import module, run_to_end
from tests.bench.stored import task_id
from tests.bench.streams import all_rest, watching

GOAL = Goal(bound=0.7)


async def measure(bench: Bench) -> list[Figure]:
    """Compare the rates."""
    figures = []
    for watchers in bench.scale.watchers:
        figures += await _deliver(bench, watchers)
    return figures


async def _deliver(bench: Bench, watchers: int) -> list[Figure]:
    events = max(bench.scale.deliveries // watchers, 10)
    folder = bench.new_folder()
    bench.say(f"watch: storing {watchers} tasks of {events} events")
    await run_to_end(
        module("stored", str(folder / "data"), str(watchers), str(events), "0", python=bench.python),
        folder / "stored.log",
    )
    one, many = [task_id(1)] * watchers, [task_id(number) for number in range(1, watchers + 1)]
    async with (
        bench.ours(folder=folder) as ours,
        bench.bare(event=await _middle(ours.address, events)) as bare,
    ):
        return [
            await _compare(
                bench, f"{counted(watchers, 'watcher')} of {name}", ours.address, tasks, bare.address, events
            )
            for name, tasks in (("one task", one), ("as many tasks", many))[:watchers]
        ]


async def _compare(
    bench: Bench, name: str, ours: str, tasks: Sequence[str], bare: str, events: int
) -> Figure:
    rates, bare_rates = await bench.alternate(
        f"watch, {name}",
        partial(_rate, ours, tasks, events),
        partial(_rate, bare, [burst(events)] * len(tasks), events),
    )
    return Figure(
        measurement="watch",
        name=f"stored events to {name}",
        unit="events/s",
        ours=rates,
        baseline=bare_rates,
        goal=GOAL,
    )


async def _middle(address: str, events: int) -> pb.WatchTaskResponse:
    """Return an event from the middle of a task, which is of the usual size."""
    async with connected(address) as stub:
        call = stub.WatchTask(pb.WatchTaskRequest(task_id=task_id(1), after_seq=events // 2))
        event = await call.read()
        assert isinstance(event, pb.WatchTaskResponse)
        return event


async def _rate(address: str, tasks: Sequence[str], events: int) -> float:
    started = time.perf_counter()
    async with watching(address, tasks) as watchers:
        await all_rest(watchers)
        elapsed = time.perf_counter() - started
    assert all(len(watcher.messages) == events for watcher in watchers)
    return events * len(tasks) / elapsed
