"""A message of 4 MiB can hold millions of list entries: they are counted, not looked at."""

from collections.abc import Callable, Mapping

import grpc
import pytest
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from tests.rpc.calls import call
from tests.rpc.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = image_pb2.ImageSource()
QUEUED = task_pb2.Task.STATE_QUEUED

LONG: Mapping[str, tuple[str, Callable[[], Message]]] = {
    "images": ("EditImage", lambda: pb.EditImageRequest(prompt="x", images=[SOURCE] * 1_000_000)),
    "reference_images": (
        "EditImage",
        lambda: pb.EditImageRequest(prompt="x", reference_images=[SOURCE] * 1_000_000),
    ),
    "labels": (
        "CreateModelEdit",
        lambda: pb.CreateModelEditRequest(labels={str(number): "" for number in range(200_000)}),
    ),
    "states": ("ListTasks", lambda: pb.ListTasksRequest(states=[QUEUED] * 3_000_000)),
}


@pytest.mark.parametrize("field", LONG)
async def test_a_long_list_is_refused_by_its_length(served: Served, field: str) -> None:
    """The refusal names the list, and none of its entries."""
    method, make = LONG[field]
    outcome = await call(served.channel, method, make())
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert outcome.fields == (field,)
