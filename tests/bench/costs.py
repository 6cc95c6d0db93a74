"""What operations cost: processor time of the server and its workers, as a multiple of a bare echo's.

``make test`` holds it against the figures of ``kept.json``, so it must be short, and say the same beside
whatever else the machine does. Whoever shares caches makes everything take more time, the echo too: operation
and echo alternate in small slices. How often a thread wakes another on another core, and how many calls a
server finds at once, would each change an accept by half: servers have one core, the same, and accepts come
together.
"""

import asyncio
import os
import signal
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from statistics import fmean

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.bench import accepts
from tests.bench.bench import Bench, Stub, channels, connected
from tests.bench.callers import repeat
from tests.bench.edits import edit_once, serving_vendor, settings
from tests.bench.pictures import Picture, another, jpeg_photograph, png_photograph, small_noise
from tests.bench.stored import store, task_id
from tests.bench.streams import all_first, all_rest, watching
from tests.servers import measuring
from tests.servers.processes import Server

SLICES = 5
"""How often an operation has its turn in a round."""
CALLERS = 64
CONNECTIONS = 4
"""So that what comes at once fills no connection's window."""
MOST_POLLS = 50
PNG_SIDE = 512
JPEG_SIDE = 1024
"""A quarter of a usual photograph: what is held is what a pixel costs, and more of them have no room here."""
STORED_EVENTS = 1000
WATCHERS = 20
LIVE_STEPS = 30
CONFIG = f"""
{accepts.CONFIG}
[providers.flood]
adapter = "scripted"
concurrency = 1
steps = {LIVE_STEPS}
"""

Operation = Callable[[], Awaitable[int]]
"""Does it some times; returns how often."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that is measured, the echo beside it, and what can be asked of it."""

    ours: Server
    bare: Server
    echo: Operation
    operations: Mapping[str, Operation]


async def round_of(served: Served, names: Iterable[str], slices: int = SLICES) -> dict[str, float]:
    """Return what each of these operations costs, in echoes."""
    costs, echoes = dict.fromkeys(names, 0.0), []
    for _ in range(slices):
        for name in costs:
            cost, echo = await _slice(served, served.operations[name])
            costs[name] += cost / slices
            echoes.append(echo)
    return {name: cost / fmean(echoes) for name, cost in costs.items()}


async def _slice(served: Served, operation: Operation) -> tuple[float, float]:
    """Return the seconds of an operation and of an echo; what follows an answer is done while echoes are."""
    ours, bare = served.ours.family_seconds(), served.bare.processor_seconds()
    done, echoed = await operation(), await served.echo()
    return (
        (served.ours.family_seconds() - ours) / done,
        (served.bare.processor_seconds() - bare) / echoed,
    )


@asynccontextmanager
async def serving_all(bench: Bench) -> AsyncIterator[Served]:
    """Run the service before a vendor, and the echo, warmed up."""
    small, png, jpeg = small_noise(), png_photograph(PNG_SIDE), jpeg_photograph(JPEG_SIDE)
    async with (
        serving_vendor(bench, small, png) as vendor,
        serving_accepts(bench, CONFIG + settings(vendor.address, small, png)) as served,
        connected(served.ours.address) as stub,
    ):
        image_id = await accepts.upload(stub)
        operations: dict[str, Operation] = {
            **served.operations,
            "edit of 27 KB": _by(8, partial(edit_once, stub, small)),
            "edit of a PNG photograph": _by(2, partial(edit_once, stub, png), times=2),
            "upload of a PNG photograph": _by(2, partial(_upload, stub, png, count()), times=2),
            "upload of a JPEG photograph": _by(2, partial(_upload, stub, jpeg, count()), times=2),
            "stored event": partial(_stored, served.ours),
            "live event": partial(_live, served.ours, stub, image_id),
        }
        for operation in operations.values():
            await operation()
        yield replace(served, operations=operations)


@asynccontextmanager
async def serving_accepts(
    bench: Bench, config: str = accepts.CONFIG, program: Sequence[str] = ()
) -> AsyncIterator[Served]:
    """Run the service and the echo, to accept alone; ``program`` stands in for the command."""
    folder = bench.new_folder()
    await store(folder / "data", 1, STORED_EVENTS, 0)
    async with bench.ours(config, folder, program) as ours, connected(ours.address) as stub:
        image_id = await accepts.upload(stub)
        accepted = await accepts.fill(stub, image_id)
        async with (
            bench.bare(accepted=accepted) as bare,
            calling(ours, image_id) as accept,
            calling(bare, image_id) as echo,
        ):
            core = max(os.sched_getaffinity(0))
            for server in (ours, bare):
                server.stay_on(core)
            yield Served(ours=ours, bare=bare, echo=echo, operations={"accept": accept})


@asynccontextmanager
async def calling(server: Server, image_id: str, user_id: str = "bench") -> AsyncIterator[Operation]:
    """Connect callers that have edits accepted, all together; warm."""
    async with channels(server.address, CONNECTIONS) as opened:
        for channel in opened:
            await channel.channel_ready()
        stubs = [Stub(channel) for channel in opened] * (CALLERS // CONNECTIONS)
        operation = partial(_together, server, stubs, image_id, user_id)
        await operation()
        yield operation


async def _together(server: Server, stubs: Sequence[Stub], image_id: str, user_id: str) -> int:
    """Call while the server is stopped, so that it finds all calls at once."""
    server.send(signal.SIGSTOP)
    try:
        calls = [asyncio.create_task(_accept(stub, image_id, user_id)) for stub in stubs]
        await _arrived(server)
    finally:
        server.send(signal.SIGCONT)
    await asyncio.gather(*calls)
    return len(calls)


async def _accept(stub: Stub, image_id: str, user_id: str) -> None:
    request = accepts.edit(image_id)
    request.user_id = user_id
    await stub.EditImage(request)


def _by(callers: int, act: Callable[[], Awaitable[object]], times: int = 1) -> Operation:
    return partial(repeat, act, callers, times)


async def _arrived(server: Server) -> None:
    """Wait until its kernel holds all calls for it, or for a while: their connections may be held back."""
    port = int(server.grpc.rpartition(":")[2])
    for _ in range(MOST_POLLS):
        await asyncio.sleep(0.002)
        if measuring.unread_bytes(port) > CALLERS * accepts.REQUEST_BYTES:
            return


async def _upload(stub: Stub, picture: Picture, numbers: Iterator[int]) -> None:
    await accepts.upload(stub, another(picture, next(numbers)))


async def _stored(server: Server) -> int:
    async with watching(server.address, [task_id(1)]) as watchers:
        await all_rest(watchers)
        return len(watchers[0].messages)


async def _live(server: Server, stub: Stub, image_id: str) -> int:
    """Let a task change as fast as it can, before watchers that are all there."""
    blocker, task = [
        (await stub.EditImage(accepts.edit(image_id, model))).task.task_id
        for model in ("flood/never", "flood/ok")
    ]
    async with watching(server.address, [task] * WATCHERS) as watchers:
        await all_first(watchers)
        await stub.CancelTask(pb.CancelTaskRequest(task_id=blocker))
        await all_rest(watchers)
        return sum(len(watcher.messages) for watcher in watchers)
