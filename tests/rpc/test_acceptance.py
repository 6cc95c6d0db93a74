"""Connections: how many there may be, and whether a new one is taken (P25)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_server.access.uploads import UploadPlaces
from imageedit_server.core.errors import Refusal
from imageedit_server.rpc import acceptance
from imageedit_server.rpc.acceptance import Acceptance, look
from imageedit_server.runtime import descriptors
from imageedit_server.telemetry.metrics import REGISTRY
from tests.rpc.serving import SCRIPTED, serving
from tests.rpc.waiting import PATIENCE_SECONDS, eventually

CAP = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "LOOK_SECONDS", 0.02)


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[asyncio.StreamReader]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def is_spoken_to(stack: AsyncExitStack, address: str) -> bool:
    """Connect, for as long as the stack lasts."""
    reader = await stack.enter_async_context(connection(address))
    return await reader.read(1) != b""


async def test_connections_beyond_the_cap_are_closed_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: as many as there may be are spoken to, and those that go make room for others."""
    monkeypatch.setattr(descriptors, "most_connections", lambda **_: CAP)
    async with serving(tmp_path, SCRIPTED) as served:
        address = served.server.grpc_address
        await served.stub.ListModels(pb.ListModelsRequest())  # the first connection
        async with AsyncExitStack() as held:
            spoken_to = [await is_spoken_to(held, address) for _ in range(CAP + 1)]
            assert sum(spoken_to) in {CAP - 1, CAP - 2}  # the server's own look may have had one
            assert (await served.stub.ListModels(pb.ListModelsRequest())).models
        async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as held:
            while not await is_spoken_to(held, address):
                pass  # each asks the server anew


async def test_a_server_whose_connections_are_used_up_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "most_connections", lambda **_: CAP)
    async with serving(tmp_path, SCRIPTED) as served:
        assert is_ready()
        async with AsyncExitStack() as held:
            spoken_to = 0
            while spoken_to < CAP:  # the server's own look may have one for a moment
                spoken_to += await is_spoken_to(held, served.server.grpc_address)
            await eventually(lambda: not is_ready())
        await eventually(is_ready)


def is_ready() -> bool:
    return REGISTRY.get_sample_value("imageedit_ready") == 1


# The look


@asynccontextmanager
async def listening(backlog: int = 5) -> AsyncIterator[socket.socket]:
    """A door at which nobody ever opens, as gRPC's is when accept has failed in a way that lasts."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as door:
        yield door


async def test_a_door_that_never_accepts_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel connects who comes, and HTTP goes on: nothing else would tell."""
    monkeypatch.setattr(acceptance, "ANSWER_SECONDS", 0.05)
    async with listening() as door:
        port = door.getsockname()[1]
        assert "takes no new connections" in await look("127.0.0.1", port, tls=False)
        assert "takes no new connections" in await look("127.0.0.1", port, tls=True)


async def test_one_that_closes_at_once_and_one_that_is_gone_are_seen() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    closing = await asyncio.start_server(close, "127.0.0.1", 0)
    port = closing.sockets[0].getsockname()[1]
    for tls in (False, True):
        assert "as many connections as it may" in await look("127.0.0.1", port, tls=tls)
    closing.close()
    await closing.wait_closed()
    assert await look("127.0.0.1", port, tls=False)


async def test_one_late_answer_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "ANSWER_SECONDS", 0.05)
    found, answers = Acceptance(), iter(["late", "", "late", "late", "late"])
    seen: list[str] = []

    async def told(*_: object, **__: object) -> str:
        seen.append(found.trouble())
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    monkeypatch.setattr(acceptance, "look", told)
    with pytest.raises(asyncio.CancelledError):
        await found.follow("127.0.0.1", 1, tls=False)
    assert seen == ["", "", "", "", "late", "late"]


async def test_a_door_that_stays_deaf_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error of accept that gRPC gives up at, only a new process takes connections again."""
    monkeypatch.setattr(acceptance, "ANSWER_SECONDS", 0.02)
    monkeypatch.setattr(acceptance, "LOOK_SECONDS", 0.0)
    async with listening(backlog=acceptance.DEAF_LOOKS) as door, asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(acceptance.Deaf):
            await Acceptance().follow("127.0.0.1", door.getsockname()[1], tls=False)


# What the last descriptors are for


async def test_an_upload_takes_none_of_the_last_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for paid results. Control: with more left it has its place."""
    places = UploadPlaces()
    async with places.take("shop"):
        pass
    monkeypatch.setattr(descriptors, "left", lambda: descriptors.FEW - 1)
    with pytest.raises(Refusal, match="as many files open as it may"):
        async with places.take("shop"):
            pass
