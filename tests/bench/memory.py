"""How much resident memory an open watch takes on which nothing happens.

A fresh server each round, since memory that was used once is kept. What the first watches bring up for all is
taken before the count begins.
"""

from functools import partial

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from tests.bench.accepts import edit, upload
from tests.bench.bare import idle
from tests.bench.bench import Bench, Stub, connected
from tests.bench.figures import Figure, Goal
from tests.bench.streams import all_first, watching
from tests.servers.processes import Server

GOAL = Goal(bound=1.5, at_most=True)
FIRST_WATCHES = 10
CONFIG = """
[limits]
watches = 0

[providers.still]
adapter = "scripted"
poll_seconds = [600, 600, 600]
"""


async def measure(bench: Bench) -> list[Figure]:
    """Compare the memory."""
    async with bench.ours(CONFIG) as ours, connected(ours.address) as stub:
        event = await _still(stub)
    ours_kib, bare_kib = await bench.alternate(
        f"memory, {bench.scale.idle_watches} idle watches",
        partial(_ours, bench),
        partial(_bare, bench, event),
    )
    return [
        Figure(
            measurement="memory",
            name=f"each of {bench.scale.idle_watches} idle watches",
            unit="KiB",
            ours=ours_kib,
            baseline=bare_kib,
            goal=GOAL,
        )
    ]


async def _still(stub: Stub) -> pb.WatchTaskResponse:
    """Create a task and return its last event: from then on nothing happens."""
    response = await stub.EditImage(edit(await upload(stub), "still/never"))
    async for told in stub.WatchTask(pb.WatchTaskRequest(task_id=response.task.task_id)):
        if told.event.task.stage == task_pb2.Task.STAGE_WAITING:
            return told
    raise RuntimeError("the task ended")


async def _ours(bench: Bench) -> float:
    async with bench.ours(CONFIG) as ours, connected(ours.address) as stub:
        last = (await _still(stub)).event
        return await _kib_per_watch(ours, last.task.task_id, last.seq - 1, bench.scale.idle_watches)


async def _bare(bench: Bench, event: pb.WatchTaskResponse) -> float:
    async with bench.bare(event=event) as bare:
        return await _kib_per_watch(bare, idle(), 0, bench.scale.idle_watches)


async def _kib_per_watch(server: Server, task: str, after_seq: int, watches: int) -> float:
    """Open watches of the last event, and see how much the server grew."""
    async with watching(server.address, [task] * FIRST_WATCHES, after_seq) as first:
        await all_first(first)
        before = server.memory_bytes()
        async with watching(server.address, [task] * watches, after_seq) as watchers:
            await all_first(watchers)
            return (server.memory_bytes() - before) / watches / 1024
