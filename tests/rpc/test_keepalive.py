"""A peer that vanished is noticed though its connection stays open (PROMISES §7): packets are swallowed."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient, Client, ImageEditError, Pace, Unavailable, connection
from imageedit_server.rpc import server
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, open_channel, serving
from tests.rpc.waiting import PATIENCE_SECONDS, eventually
from tests.rpc.world import create, upload
from tests.servers.doorway import Doorway, doorway

TIME, TIMEOUT = "grpc.keepalive_time_ms", "grpc.http2.ping_timeout_ms"
SOON_SECONDS = 15.0
"""Far below the minute that the library itself waits for the answer to a ping, and that a stream lasts."""


def noticed_after(options: dict[str, int]) -> int:
    """Milliseconds until a peer that vanished is given up."""
    return options[TIME] + options[TIMEOUT]


def test_the_defaults_are_those_that_are_promised() -> None:
    """40 s here and 80 s there, by the option that the library heeds."""
    assert noticed_after(connection.OPTIONS) == 40_000
    assert noticed_after(dict(server.OPTIONS)) == 80_000
    for options in (connection.OPTIONS, dict(server.OPTIONS)):
        assert "grpc.keepalive_timeout_ms" not in options


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """All times forty times as short, on both sides."""
    for name in (TIME, TIMEOUT):
        monkeypatch.setitem(connection.OPTIONS, name, connection.OPTIONS[name] // 40)
    shorter = {name: value // 40 if name in {TIME, TIMEOUT} else value for name, value in server.OPTIONS}
    monkeypatch.setattr(server, "OPTIONS", tuple(shorter.items()))


@pytest_asyncio.fixture
async def served(hasty: None, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, SCRIPTED) as served:
        yield served


@pytest_asyncio.fixture
async def cable(served: Served) -> AsyncIterator[Doorway]:
    """What lies between the client and the server."""
    async with doorway() as cable:
        cable.target = served.server.grpc_address
        yield cable


@pytest.mark.parametrize("face", [Client, AsyncClient])
async def test_the_client_notices_and_goes_on(
    served: Served, cable: Doorway, face: type[Client | AsyncClient]
) -> None:
    """Over a new connection, with no event twice and none missed."""
    told: list[ImageEditError] = []
    pace = Pace(on_retry=lambda error, delay: told.append(error))
    task = await create(served, await upload(served, PNG), model="scripted/never")
    seqs: list[int] = []

    async def follow() -> None:
        async with AsyncClient(cable.address, pace=pace) as client:
            async for event in client.watch(task.task_id):
                seqs.append(event.seq)

    def follow_in_a_thread() -> None:
        with Client(cable.address, pace=pace) as client:
            seqs.extend(event.seq for event in client.watch(task.task_id))

    sync = face is Client
    following = asyncio.ensure_future(asyncio.to_thread(follow_in_a_thread) if sync else follow())
    await eventually(lambda: served.feed.is_followed and cable.passed == 1)
    begun = time.monotonic()
    cable.swallow()
    await eventually(lambda: cable.passed == 2)
    assert time.monotonic() - begun < SOON_SECONDS
    await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))
    await asyncio.wait_for(following, PATIENCE_SECONDS)
    assert seqs == list(range(1, len(seqs) + 1))
    assert [type(error) for error in told] == [Unavailable]
    assert "ping timeout" in told[0].message


async def test_the_server_lets_go_of_a_client_that_vanished(served: Served, cable: Doorway) -> None:
    """Of its watch, though nothing ever closed the connection."""
    task = await create(served, await upload(served, PNG), model="scripted/never")
    async with open_channel(cable.address) as channel:  # of a client that does not ping
        stub = Served(served.server, channel, served.data_dir).stub
        watch = stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
        await watch.read()
        begun = time.monotonic()
        cable.swallow()
        assert served.feed.is_followed
        await eventually(lambda: not served.feed.is_followed)
        assert time.monotonic() - begun < SOON_SECONDS
