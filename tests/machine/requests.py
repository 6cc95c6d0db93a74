"""The requests that the machine's callers make."""

from hashlib import sha256
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from tests.machine.vendor import picture

LONGEST_TIMEOUT = 150
TIMEOUTS = (LONGEST_TIMEOUT, 5, 45)
"""Seconds."""


def edit_request(
    *,
    provider: str,
    source: Any,
    key: str = "",
    timeout: int = LONGEST_TIMEOUT,
    resubmit: bool = False,
    user_id: str = "u1",
) -> pb.EditImageRequest:
    """An EditImage of a shade, of an image's id, or of the output of the task in a tuple."""
    return pb.EditImageRequest(
        request_id=key,
        prompt="make it warmer",
        model=f"{provider}/m",
        user_id=user_id,
        images=[_source(source)],
        timeout=Duration(seconds=timeout),
        on_unknown=pb.ON_UNKNOWN_RESUBMIT if resubmit else pb.ON_UNKNOWN_FAIL,
    )


def model_edit_request(key: str, base: str) -> pb.CreateModelEditRequest:
    """A CreateModelEdit that starts from the output of ``base``."""
    return pb.CreateModelEditRequest(
        request_id=key,
        user_id="u1",
        base_model_task_id=base,
        edit_instructions="longer",
        model="keyed/m",
        timeout=Duration(seconds=LONGEST_TIMEOUT),
    )


def default_model_request(key: str, shade: int) -> pb.CreateDefaultModelRequest:
    """A CreateDefaultModel that is the caller's own picture."""
    return pb.CreateDefaultModelRequest(
        request_id=key, user_id="u1", image=_source(shade), timeout=Duration(seconds=LONGEST_TIMEOUT)
    )


def upload_requests(data: bytes, announced: bytes, pieces: int) -> list[Message]:
    """The messages of an upload of ``data`` that announces another."""
    size = -(-len(data) // pieces)
    info = image_pb2.UploadImageInfo(sha256=sha256(announced).hexdigest())
    chunks = [pb.UploadImageRequest(chunk=data[at : at + size]) for at in range(0, len(data), size)]
    return [pb.UploadImageRequest(info=info), *chunks]


def body_of(request: Any) -> bytes:
    """What a request asks for, without the name it goes by."""
    nameless = copy(request)
    nameless.request_id = ""
    body: bytes = nameless.SerializeToString(deterministic=True)
    return body


def copy(message: Any) -> Any:
    """A message like this one."""
    other = type(message)()
    other.CopyFrom(message)
    return other


def _source(source: Any) -> image_pb2.ImageSource:
    if isinstance(source, int):
        return image_pb2.ImageSource(content=picture(source))
    if isinstance(source, tuple):
        return image_pb2.ImageSource(task_output=image_pb2.TaskOutput(task_id=source[0]))
    return image_pb2.ImageSource(image_id=source)
