"""Requests with pictures in them: so many bytes at once, in the places of uploads (F82)."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_server.access import uploads as places
from imageedit_server.rpc import service
from imageedit_server.telemetry.metrics import REGISTRY
from imageedit_server.wire.conversion import inline_bytes
from tests.rpc.callers import ALICE, BOB, asking, bearer
from tests.rpc.calls import Outcome, call
from tests.rpc.pictures import PNG
from tests.rpc.serving import Served
from tests.rpc.waiting import eventually

MIB = 1024 * 1024
LIMITS = f"[limits]\ninflight_bytes = {4 * MIB}\ninflight_bytes_total = {6 * MIB}\n"
LARGE = PNG + bytes(3 * MIB // 2)
"""A picture with something behind its end; two such requests fit into a tenant's bytes, and three do not."""
EXHAUSTED = (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", 1.0)


def edit(content: bytes = LARGE) -> pb.EditImageRequest:
    return pb.EditImageRequest(prompt="x", images=[image_pb2.ImageSource(content=content)])


def default_model(content: bytes = LARGE) -> pb.CreateDefaultModelRequest:
    return pb.CreateDefaultModelRequest(image=image_pb2.ImageSource(content=content))


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"imageedit_{name}", labels)


def ending(outcome: Outcome) -> tuple[object, str, float | None]:
    return outcome.code, outcome.reason, outcome.retry_seconds


@asynccontextmanager
async def one_place_taken(served: Served, key: str) -> AsyncIterator[None]:
    """Hold the only place of a tenant with an upload that does not end in the block."""
    began, over = asyncio.Event(), asyncio.Event()

    async def messages() -> AsyncIterator[pb.UploadImageRequest]:
        yield pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
        yield pb.UploadImageRequest(chunk=PNG)
        began.set()
        await over.wait()

    upload = asyncio.ensure_future(served.stub.UploadImage(messages(), metadata=bearer(key)))
    await began.wait()
    try:
        yield
    finally:
        over.set()
        await upload


async def test_more_bytes_than_a_tenant_may_are_refused_at_once_and_nobody_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that fit wait for their place among the uploads, and are served then."""
    monkeypatch.setattr(places, "AT_ONCE", 1)
    async with asking(tmp_path, LIMITS) as served:
        channel, alice, bob = served.channel, bearer(ALICE), bearer(BOB)
        async with one_place_taken(served, ALICE):
            waiting = [
                asyncio.ensure_future(call(channel, "EditImage", edit(), metadata=alice)) for _ in range(2)
            ]
            await eventually(lambda: shown("rpcs_in_flight", method="EditImage") == 2)
            more = await call(channel, "CreateDefaultModel", default_model(), metadata=alice)
            assert ending(more) == EXHAUSTED
            stored = pb.EditImageRequest(prompt="x", images=[image_pb2.ImageSource(url="https://a.test/b")])
            assert (await call(channel, "EditImage", stored, metadata=alice)).code is grpc.StatusCode.OK
            assert (await call(channel, "EditImage", edit(), metadata=bob)).code is grpc.StatusCode.OK
            assert not any(each.done() for each in waiting)
        assert [(await each).code for each in waiting] == [grpc.StatusCode.OK] * 2
        for _ in range(3):  # the honest load: the same bytes, one after the other
            assert (await call(channel, "EditImage", edit(), metadata=alice)).code is grpc.StatusCode.OK


async def test_a_request_is_let_go_of_without_a_search_for_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames of a refusal would keep its message: hundreds of MiB after a flood, until somebody looks."""
    seen: list[pb.EditImageRequest] = []

    def looking(request: pb.EditImageRequest) -> int:
        seen.append(request)
        return inline_bytes(request)

    monkeypatch.setattr(service, "inline_bytes", looking)
    gc.disable()
    try:
        async with asking(tmp_path, LIMITS) as served:
            for content in (b"no picture", bytes(4), PNG):
                await call(served.channel, "EditImage", edit(content), metadata=bearer(ALICE))
            assert [sys.getrefcount(seen[number]) for number in range(3)] == [2] * 3  # ours, and the call's
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("request_", "counts"),
    [
        (edit(), True),
        (pb.EditImageRequest(mask=image_pb2.ImageSource(content=b"x")), True),
        (pb.EditImageRequest(reference_images=[image_pb2.ImageSource(content=b"x")]), True),
        (default_model(), True),
        (pb.EditImageRequest(prompt="x" * MIB, images=[image_pb2.ImageSource(image_id="y")]), False),
        (pb.CreateDefaultModelRequest(), False),
    ],
    ids=["image", "mask", "reference", "default model", "no picture in it", "none at all"],
)
def test_what_counts_is_the_whole_message_of_one_with_a_picture_in_it(
    request_: pb.EditImageRequest | pb.CreateDefaultModelRequest, counts: bool
) -> None:
    assert inline_bytes(request_) == (request_.ByteSize() if counts else 0)
