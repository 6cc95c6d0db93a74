"""Whether a field that a refusal names is there, in the request that the caller wrote."""

import re
from typing import Any

from google.protobuf.descriptor import Descriptor

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_server.core.request import Kind

REQUESTS: dict[Kind, Any] = {
    Kind.EDIT_IMAGE: pb.EditImageRequest.DESCRIPTOR,
    Kind.MODEL_EDIT: pb.CreateModelEditRequest.DESCRIPTOR,
    Kind.DEFAULT_MODEL: pb.CreateDefaultModelRequest.DESCRIPTOR,
}

_STEP = re.compile(r"(\w+)(\[\d+\])?", re.ASCII)


def is_path_of(kind: Kind, path: str) -> bool:
    """Whether ``path`` leads to a field of the request of ``kind``: ``images[0].url``."""
    message: Descriptor | None = REQUESTS[kind]
    *way, last = path.split(".")
    for step in way:
        message = _enter(message, step)
    return message is not None and _finds(message, last)


def _finds(message: Descriptor, step: str) -> bool:
    match = _STEP.fullmatch(step)
    if match is None or match[1] not in message.fields_by_name:
        return False
    field = message.fields_by_name[match[1]]
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return match[2] is None or (field.is_repeated and not is_map)


def _enter(message: Descriptor | None, step: str) -> Descriptor | None:
    """Go into one message: a list only by an index."""
    if message is None or not _finds(message, step):
        return None
    name, indexed = step.partition("[")[0], "[" in step
    field = message.fields_by_name[name]
    return field.message_type if field.is_repeated is indexed else None
