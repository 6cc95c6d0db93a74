"""No input ever yields UNKNOWN or INTERNAL (P21, T7): random bytes, damaged requests, wild messages.

The same examples at every run; ``IMAGEEDIT_FUZZ_EXAMPLES`` asks for more.
"""

import os
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from tests.rpc.bad_input import CREATES
from tests.rpc.calls import METHODS, assert_presentable, call
from tests.rpc.pictures import JPEG, PNG, WEBP, mask
from tests.rpc.serving import Served
from tests.rpc.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = int(os.environ.get("IMAGEEDIT_FUZZ_EXAMPLES", "60"))
FUZZ = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
WATCH_SECONDS = 0.2
"""A watch of a task that goes on is left after this time."""

CLIENT_ERROR = "Internal error from Core"
"""What grpc.aio's client makes up when a call is refused while it still writes; no server said it."""
CLIENT_TRIES = 5

ALLOWED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}
"""What input can bring about. DEADLINE_EXCEEDED besides, for watches only."""


@pytest.mark.parametrize("method", METHODS)
@FUZZ
@given(data=st.data())
async def test_random_bytes(served: Served, method: str, data: st.DataObject) -> None:
    """Bytes without any form."""
    await assert_survives(
        served, method, [data.draw(st.binary(max_size=200)) for _ in range(_count(method, data))]
    )


@pytest.mark.parametrize("method", METHODS)
@FUZZ
@given(data=st.data())
async def test_damaged_requests(served: Served, world: World, method: str, data: st.DataObject) -> None:
    """Sound requests with a few bytes changed, added or taken away."""
    bodies = [bytearray(message.SerializeToString()) for message in sound(method, world)]
    for _ in range(data.draw(st.integers(1, 4))):
        body = data.draw(st.sampled_from(bodies))
        at = data.draw(st.integers(0, len(body)))
        removed = data.draw(st.integers(0, 3))
        body[at : at + removed] = data.draw(st.binary(max_size=3))
    await assert_survives(served, method, [bytes(body) for body in bodies])


@pytest.mark.parametrize("method", METHODS)
@FUZZ
@given(data=st.data())
async def test_wild_messages(served: Served, world: World, method: str, data: st.DataObject) -> None:
    """Well-formed messages with anything in their fields, on top of a sound request or of nothing."""
    base = data.draw(st.sampled_from([None, *sound(method, world)]))
    wild = data.draw(messages(METHODS[method].input_type, words(world)))
    if base is not None:
        merged = type(base)()
        merged.CopyFrom(base)
        merged.MergeFromString(wild.SerializeToString())
        wild = merged
    requests = [*sound(method, world)[:1], wild] if METHODS[method].client_streaming else [wild]
    await assert_survives(served, method, [request.SerializeToString() for request in requests])


async def assert_survives(served: Served, method: str, bodies: list[bytes]) -> None:
    """Call, and hold the end of it against what input can bring about."""
    watching = method == "WatchTask"
    for _ in range(CLIENT_TRIES):
        outcome = await call(served.channel, method, *bodies, deadline=WATCH_SECONDS if watching else 60)
        if outcome.message != CLIENT_ERROR:
            break
    allowed = ALLOWED | ({grpc.StatusCode.DEADLINE_EXCEEDED} if watching else set())
    assert outcome.code in allowed, outcome
    if outcome.code not in (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED) and not outcome.responses:
        assert_presentable(outcome)


def sound(method: str, world: World) -> list[Message]:
    """A request of the method that is answered OK."""
    image = image_pb2.ImageSource(content=PNG)
    more: dict[str, list[Message]] = {
        "EditImage": [
            pb.EditImageRequest(
                request_id="fuzz",
                prompt="make it warmer",
                images=[image],
                mask=image_pb2.ImageSource(content=mask()),
                labels={"a": "b"},
                n=2,
            )
        ],
        "WatchTask": [pb.WatchTaskRequest(task_id=world.finished, after_seq=1)],
        "GetTask": [pb.GetTaskRequest(task_id=world.finished)],
        "ListTasks": [pb.ListTasksRequest(page_size=2, states=["STATE_SUCCEEDED"], user_id="u")],
        "CancelTask": [pb.CancelTaskRequest(task_id=world.finished)],
        "DeleteTask": [pb.DeleteTaskRequest(task_id=world.unfinished)],  # refused, so that it stays
        "DeleteImage": [pb.DeleteImageRequest(image_id=world.png)],
        "DownloadImage": [pb.DownloadImageRequest(image_id=world.png, offset=3)],
        "UploadImage": [
            pb.UploadImageRequest(info=image_pb2.UploadImageInfo()),
            pb.UploadImageRequest(chunk=PNG),
        ],
        "ListModels": [pb.ListModelsRequest()],
    }
    return more[method] if method in more else [CREATES[method](world)]


def words(world: World) -> st.SearchStrategy[str]:
    """Texts that mean something somewhere, and any other."""
    known = [
        world.png,
        world.finished,
        world.unfinished,
        "scripted/ok",
        "narrow/edit",
        "narrow/own-bases",
        "local/basic",
        "4:3",
        "64x64",
        "auto",
        "front",
        "male",
        "png",
        "MQ==",
        "https://example.com/a.png",
        "",
    ]
    return st.one_of(
        st.sampled_from(known), st.text(max_size=20), st.sampled_from(["x" * 5000, "\0", "光" * 200])
    )


SCALARS: dict[int, Callable[[], st.SearchStrategy[object]]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans,
    FieldDescriptor.TYPE_INT32: lambda: _numbers(2**31),
    FieldDescriptor.TYPE_INT64: lambda: _numbers(2**63),
    FieldDescriptor.TYPE_ENUM: lambda: st.one_of(st.integers(0, 6), _numbers(2**31)),
    FieldDescriptor.TYPE_DOUBLE: st.floats,
    FieldDescriptor.TYPE_BYTES: lambda: st.one_of(
        st.sampled_from([PNG, JPEG, WEBP, mask(), PNG[:30]]), st.binary(max_size=50)
    ),
}


def _numbers(limit: int) -> st.SearchStrategy[int]:
    return st.one_of(
        st.integers(-2, 10), st.sampled_from([-limit, limit - 1]), st.integers(-limit, limit - 1)
    )


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, text: st.SearchStrategy[str]) -> Message:
    """Any message of a type; each field with even chances set or not."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update(draw(st.dictionaries(text, text, max_size=3)))
        elif field.is_repeated:
            values = draw(st.lists(_value(field, text), max_size=3))
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(draw(messages(field.message_type, text)))
        else:
            setattr(message, field.name, draw(_value(field, text)))
    return message


def _value(field: FieldDescriptor, text: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    if field.message_type is not None:
        return messages(field.message_type, text)
    if field.type == FieldDescriptor.TYPE_STRING:
        return text
    return SCALARS[field.type]()


def _count(method: str, data: st.DataObject) -> int:
    return data.draw(st.integers(1, 4)) if METHODS[method].client_streaming else 1
