"""A restart under load: nobody who uses the shipped clients notices more than a delay (P24, F18)."""

import asyncio
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from imageedit_client import AsyncClient, Client, Pace
from tests.figures import Figures
from tests.process.watching import SUCCEEDED, Story, assert_paid_once, assert_told_once, follow
from tests.rpc.pictures import PHOTO_FILE, PNG
from tests.servers.places import Place
from tests.servers.processes import Server, Servers, Standby
from tests.servers.programs import PATIENCE_SECONDS

RESTARTS = 3
CALLERS = 4
PATIENT = Pace(call_seconds=200, patience_seconds=200)
STEADY = 15
"""Operations that are done between two restarts, so that each of them hits a server at work."""


@dataclass
class Load:
    """What the callers did so far. An operation that fails ends its caller, and so the test."""

    stop: threading.Event = field(default_factory=threading.Event)
    done: "Counter[str]" = field(default_factory=Counter)
    stories: list[Story] = field(default_factory=list)
    seen: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def note(self, operation: str) -> None:
        """Count an operation that is done; from any thread."""
        self.loop.call_soon_threadsafe(self._note, operation)

    def _note(self, operation: str) -> None:
        self.done[operation] += 1
        self.seen.put_nowait(operation)

    async def goes_on(self, operations: int) -> None:
        """Wait until so many more are done."""
        while not self.seen.empty():
            self.seen.get_nowait()
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(operations):
                await self.seen.get()


async def call_async(address: str, load: Load, picture: bytes) -> None:
    """Upload, create, follow, get, list and download, again and again."""
    async with AsyncClient(address, pace=PATIENT) as client:
        while not load.stop.is_set():
            image = await client.upload(picture)
            load.note("upload")
            task = await client.edit_image("make it warmer", [image.image_id])
            load.note("create")
            story = await follow(client, task.task_id)
            load.note("watch")
            assert await client.get(task.task_id) == story.last
            load.note("get")
            assert [found.task_id async for found in client.list(page_size=1)]
            load.note("list")
            assert await client.download(story.last.images[0].image_id) == picture
            load.note("download")
            load.stories.append(story)


def call_sync(address: str, load: Load) -> None:
    """The other face of the client, in a thread of its own."""
    with Client(address, pace=PATIENT) as client:
        while not load.stop.is_set():
            task = client.edit_image("make it warmer", [PNG])
            load.note("create")
            done = client.wait(task.task_id)
            assert done.state == SUCCEEDED
            load.note("watch")
            assert client.download(done.images[0].image_id) == PNG
            load.note("download")


async def test_restarts_under_load_fail_no_operation(
    servers: Servers, place: Place, figures: Figures
) -> None:
    """SIGTERM, a new process on the same data and ports, three times: 0 operations fail, no task is lost."""
    place = Place(folder=place.folder, seconds=0.1, steps=3)
    server = await servers.start(place)
    standbys = [await servers.standby(place) for _ in range(RESTARTS)]
    waits = []
    load, pictures = Load(), (PNG, PHOTO_FILE.read_bytes())
    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            callers.create_task(call_async(server.grpc, load, pictures[number % 2]))
        callers.create_task(asyncio.to_thread(call_sync, server.grpc, load))
        try:
            for standby in standbys:
                await load.goes_on(STEADY)
                server, wait = await restarted(server, standby, load)
                waits.append(wait)
            await load.goes_on(STEADY)
        finally:
            load.stop.set()
    async with AsyncClient(server.grpc, pace=PATIENT) as client:
        for story in load.stories:
            assert story.last.state == SUCCEEDED
            assert_paid_once(story.last)
            await assert_told_once(client, story)
        assert len([task async for task in client.list()]) == load.done["create"]
    figures.line(
        "restart under load",
        f"{RESTARTS} restarts, {load.done.total()} operations, 0 failed;"
        f" nothing done for {' / '.join(f'{wait:.1f}' for wait in waits)} s",
    )


async def restarted(server: Server, standby: Standby, load: Load) -> tuple[Server, float]:
    """End the server as a service manager does, and begin the next one in its place.

    Return it, and the seconds from the signal to the next operation that was done by it.
    """
    began = time.monotonic()
    server.send(signal.SIGTERM)
    assert await server.ended() == 0, server.stderr()
    assert "Traceback" not in server.stderr()
    again = await standby.begin(server.grpc)
    await load.goes_on(1)
    return again, time.monotonic() - began
