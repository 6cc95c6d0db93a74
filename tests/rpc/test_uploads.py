"""Uploads that never come to an end hold nothing for long, and nobody else up (F82, P20)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_server.access import pace
from imageedit_server.access import uploads as places
from imageedit_server.rpc import uploads
from imageedit_server.telemetry.metrics import REGISTRY
from tests.rpc.calls import Outcome, outcome_of
from tests.rpc.pictures import PNG
from tests.rpc.serving import Served
from tests.rpc.waiting import eventually
from tests.rpc.world import upload

pytestmark = pytest.mark.asyncio(loop_scope="module")

INFO = pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
SOON = 0.2


def chunk(data: bytes) -> pb.UploadImageRequest:
    return pb.UploadImageRequest(chunk=data)


async def then_nothing(messages: Iterable[pb.UploadImageRequest]) -> AsyncIterator[pb.UploadImageRequest]:
    for message in messages:
        yield message
    await asyncio.Event().wait()


async def ended(rpc: grpc.aio.StreamUnaryCall[Any, Any]) -> Outcome:
    with suppress(grpc.aio.AioRpcError):
        await rpc
    return await outcome_of(rpc)


async def ended_while_it_writes(
    served: Served, messages: Callable[[], AsyncIterator[pb.UploadImageRequest]]
) -> Outcome:
    """Like ``ended``; again where gRPC's client says INTERNAL of its own, as when a write meets the end."""
    for _ in range(10):
        outcome = await ended(served.stub.UploadImage(messages()))
        if outcome.code is not grpc.StatusCode.INTERNAL:
            break
    return outcome


def half_written(served: Served) -> int:
    return len(list((served.data_dir / "images" / "tmp").iterdir()))


@pytest.mark.parametrize(
    "messages",
    [[], [INFO], [INFO, chunk(PNG)], [INFO, chunk(bytes(300_000)), chunk(PNG)]],
    ids=["nothing", "info", "a whole picture", "much"],
)
async def test_an_upload_that_stops_is_ended(
    served: Served, monkeypatch: pytest.MonkeyPatch, messages: list[pb.UploadImageRequest]
) -> None:
    monkeypatch.setattr(uploads, "IDLE_SECONDS", SOON)
    outcome = await ended(served.stub.UploadImage(then_nothing(messages)))
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert outcome.message == "An upload may pause for 0.2 s and take 600 s."
    assert half_written(served) == 0


async def test_an_upload_that_drips_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TOTAL_SECONDS", SOON)

    async def drip() -> AsyncIterator[pb.UploadImageRequest]:
        yield INFO
        while True:
            yield chunk(b"x")
            await asyncio.sleep(0.01)

    outcome = await ended_while_it_writes(served, drip)
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert half_written(served) == 0


async def test_an_upload_of_endless_empty_chunks_is_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_MESSAGES", 1_000)

    async def endless() -> AsyncIterator[pb.UploadImageRequest]:
        yield INFO
        while True:
            yield chunk(b"")

    outcome = await ended_while_it_writes(served, endless)
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert outcome.message == "chunk comes in more than 1000 pieces; send larger ones"
    assert half_written(served) == 0


async def test_as_many_pieces_as_allowed_are_a_picture(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_MESSAGES", len(PNG) + 1)
    messages = [INFO, *(chunk(PNG[at : at + 1]) for at in range(len(PNG)))]
    assert (await served.stub.UploadImage(iter(messages))).image.size_bytes == len(PNG)


async def test_the_uploads_of_a_tenant_share_its_places(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred that never end hold 16 places; the others wait unread, and learn that it is no use."""
    with monkeypatch.context() as impatient:
        impatient.setattr(places, "PLACE_SECONDS", SOON)
        stuck = [
            served.stub.UploadImage(then_nothing([INFO, chunk(bytes(300_000))]))
            for _ in range(places.AT_ONCE)
        ]
        await eventually(lambda: half_written(served) == places.AT_ONCE)
        more = [served.stub.UploadImage(then_nothing([INFO, chunk(bytes(300_000))])) for _ in range(184)]
        for outcome in await asyncio.gather(*map(ended, more)):
            assert (outcome.code, outcome.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
            assert outcome.retry_seconds == places.RETRY_SECONDS
        assert half_written(served) == places.AT_ONCE
    waiting = asyncio.ensure_future(upload(served, PNG))
    for rpc in stuck:
        rpc.cancel()
    await waiting
    await eventually(lambda: half_written(served) == 0)


# Slow callers


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is slow is seen soon."""
    monkeypatch.setattr(pace, "GRACE_SECONDS", SOON)
    monkeypatch.setattr(places, "LOOK_SECONDS", SOON / 10)


def dripping(served: Served, *first: bytes) -> list[grpc.aio.StreamUnaryCall[Any, Any]]:
    """As many uploads as there are places, of a byte now and then behind ``first``."""

    async def drip() -> AsyncIterator[pb.UploadImageRequest]:
        yield INFO
        for data in first:
            yield chunk(data)
        while True:
            yield chunk(b"x")
            await asyncio.sleep(SOON / 10)

    return [served.stub.UploadImage(drip()) for _ in range(places.AT_ONCE)]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("first", [(), (bytes(300_000),)], ids=["slow", "a fast beginning"])
async def test_slow_uploads_make_room_for_who_waits(served: Served, first: tuple[bytes, ...]) -> None:
    """One ends for each that waits, the slowest; the others go on."""
    before, slow = refused(), dripping(served, *first)
    await eventually(lambda: in_flight() == places.AT_ONCE)
    assert await upload(served, PNG)
    await eventually(lambda: sum(each.done() for each in slow) >= 1)
    over = [await ended(each) for each in slow if each.done()]
    told = [each for each in over if each.code is not grpc.StatusCode.INTERNAL]  # of the client's own making
    assert {each.reason for each in told} <= {"QUOTA_EXCEEDED"}
    assert all("less than 16 KiB/s while others waited" in each.message for each in told)
    assert refused() - before >= 1
    assert len(over) < places.AT_ONCE
    await gone(slow)


@pytest.mark.usefixtures("quick")
async def test_slow_uploads_go_on_where_nobody_waits(served: Served) -> None:
    """The control: several times the grace, and one place is free."""
    slow = dripping(served)
    slow.pop().cancel()
    await eventually(lambda: in_flight() == places.AT_ONCE - 1)
    for _ in range(5):
        await asyncio.sleep(SOON)
        assert await upload(served, PNG)
    assert not [each for each in slow if each.done()]
    await gone(slow)


@pytest.mark.usefixtures("quick")
async def test_who_sends_fast_enough_keeps_his_place(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: others wait in vain, as long as they have the patience."""
    monkeypatch.setattr(pace, "GRACE_SECONDS", 4 * SOON)
    monkeypatch.setattr(places, "PLACE_SECONDS", 8 * SOON)
    monkeypatch.setattr(pace, "LEAST_BYTES_PER_SECOND", 1)
    fast = dripping(served)  # one in a while is enough
    await eventually(lambda: in_flight() == places.AT_ONCE)
    outcome = await outcome_of(served.stub.UploadImage(iter([INFO, chunk(PNG)])))
    assert outcome.message.startswith("16 uploads are under way")
    assert not [each for each in fast if each.done()]
    await gone(fast)


async def gone(calls: list[grpc.aio.StreamUnaryCall[Any, Any]]) -> None:
    for each in calls:
        each.cancel()
    await eventually(lambda: in_flight() == 0)


def refused() -> float:
    labels = {"method": "UploadImage", "code": "RESOURCE_EXHAUSTED"}
    return REGISTRY.get_sample_value("imageedit_rpcs_total", labels) or 0


def in_flight() -> float:
    return REGISTRY.get_sample_value("imageedit_rpcs_in_flight", {"method": "UploadImage"}) or 0


async def test_more_uploads_than_places_take_turns(served: Served) -> None:
    ids = await asyncio.gather(*(upload(served, PNG) for _ in range(5 * places.AT_ONCE)))
    assert len(set(ids)) == 1
