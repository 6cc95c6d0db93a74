"""A message of 4 MiB can hold millions of list entries: they are counted, not looked at."""

import grpc
import pytest
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from tests.rpc.calls import call
from tests.rpc.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG: dict[str, tuple[str, Message]] = {
    "images": (
        "EditImage",
        pb.EditImageRequest(prompt="x", images=[image_pb2.ImageSource()] * 1_000_000),
    ),
    "reference_images": (
        "EditImage",
        pb.EditImageRequest(prompt="x", reference_images=[image_pb2.ImageSource()] * 1_000_000),
    ),
    "labels": (
        "CreateModelEdit",
        pb.CreateModelEditRequest(labels={str(number): "" for number in range(200_000)}),
    ),
    "states": ("ListTasks", pb.ListTasksRequest(states=[task_pb2.Task.STATE_QUEUED] * 3_000_000)),
}


@pytest.mark.parametrize("field", LONG)
async def test_a_long_list_is_refused_by_its_length(served: Served, field: str) -> None:
    """The refusal names the list, and none of its entries."""
    method, request = LONG[field]
    outcome = await call(served.channel, method, request)
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert outcome.fields == (field,)
