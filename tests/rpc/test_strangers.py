"""What a stranger without a key sends at 2 MB/s on one connection, beside a caller with one (P25)."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc
import pytest
import pytest_asyncio

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from tests.rpc import http2
from tests.rpc.attacks import ATTACKS, Attack
from tests.rpc.callers import ALICE, AskingPlace, bearer
from tests.rpc.serving import open_channel
from tests.rpc.waiting import PATIENCE_SECONDS
from tests.servers.processes import Server, Servers

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
BYTES_PER_SECOND = 2_000_000
AT_ONCE_BYTES = 16_384
SECONDS = 0.6
TIMES = 10
LATE_SECONDS = 0.5
TRIES = 3
"""What a machine that does much else may add to any answer, and how often it may add more."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server process that asks for keys: in ours, what a stranger costs himself would count too."""
    folder = tmp_path_factory.mktemp("asking")
    async with Servers(folder) as servers:
        yield await servers.start(AskingPlace(folder=folder))


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_stranger_costs_a_caller_no_more_than_ten_times_the_usual(
    asked: Server, attack: Attack
) -> None:
    """Control: the same caller, while nobody else is there."""
    async with open_channel(asked.grpc) as channel:
        usual = slow_of(await answers(channel, time.monotonic() + SECONDS / 2))
        asked.forget_peak()
        before, slow = asked.memory_bytes(), [await slow_beside(channel, asked.grpc, attack)]
        while slow[-1] > TIMES * usual + LATE_SECONDS and len(slow) < TRIES:
            slow.append(await slow_beside(channel, asked.grpc, attack))
    assert min(slow) <= TIMES * usual + LATE_SECONDS
    assert asked.memory_bytes("VmHWM") - before < 256 * MIB


async def slow_beside(channel: grpc.aio.Channel, address: str, attack: Attack) -> float:
    """Attack and ask; return how long the slow answers took."""
    end = time.monotonic() + SECONDS
    sending = asyncio.create_task(send(address, attack, end))
    seconds = await answers(channel, end)
    await sending
    return slow_of(seconds)


async def send(address: str, attack: Attack, end: float) -> None:
    """Send at ``BYTES_PER_SECOND``, on a new connection where the server ends one."""
    began, sent = time.monotonic(), 0
    while time.monotonic() < end:
        async with http2.peer(address) as stranger:
            for piece in joined(attack()):
                await stranger.send(piece)
                sent += len(piece)
                await asyncio.sleep(max(began + sent / BYTES_PER_SECOND - time.monotonic(), 0))
                if stranger.ended or time.monotonic() >= end:
                    break


def joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Send as much at once as a packet or a few would bring."""
    held = b""
    for piece in pieces:
        held += piece
        if len(held) >= AT_ONCE_BYTES:
            yield held
            held = b""


async def answers(channel: grpc.aio.Channel, end: float) -> list[float]:
    """Ask again and again; return how long each answer took."""
    stub: ImageEditServiceAsyncStub = ImageEditServiceStub(channel)
    seconds = []
    while time.monotonic() < end:
        began = time.monotonic()
        request = pb.ListModelsRequest()
        await stub.ListModels(request, metadata=bearer(ALICE), timeout=PATIENCE_SECONDS)
        seconds.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    return seconds


def slow_of(seconds: list[float]) -> float:
    """Return the 99th of a hundred."""
    return sorted(seconds)[int(len(seconds) * 0.99)]
