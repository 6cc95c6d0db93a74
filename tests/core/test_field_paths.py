"""Every field that a refusal can name is one that the caller can find in its own request.

All is wrong at once, as it comes in through the door: what is named must be every field, by its proto path.
"""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from imageedit_server.core.fields import check_fields
from imageedit_server.core.request import Draft
from imageedit_server.wire.conversion import default_model_draft, edit_image_draft, model_edit_draft
from imageedit_testing.proto_paths import is_path_of

EMPTY = image_pb2.ImageSource()
COMMON: dict[str, Any] = {
    "request_id": "\0",
    "user_id": "\0",
    "model": "\0",
    "size": "\0",
    "timeout": Duration(),
    "labels": {"": ""},
}
WAYS = {
    "": EMPTY,
    ".content": image_pb2.ImageSource(content=b""),
    ".image_id": image_pb2.ImageSource(image_id=""),
    ".url": image_pb2.ImageSource(url="\0"),
    ".task_output.task_id": image_pb2.ImageSource(task_output=image_pb2.TaskOutput()),
    ".task_output.index": image_pb2.ImageSource(task_output=image_pb2.TaskOutput(task_id="t", index=-1)),
}
"""Every way to name a picture, broken, with the rest of its path."""

SOURCES = list(WAYS.values())
OPENAI = pb.OpenaiOptions(
    quality="\0",
    background="\0",
    output_format="\0",
    input_fidelity="\0",
    output_compression=-1,
    partial_images=-1,
    moderation="\0",
)
PROFILE = task_pb2.BodyProfile(
    gender="x", height_cm=-1, weight_kg=-1, age=-1, skin_color="\0", body_type="\0"
)


def assert_named(draft: Draft, fields: set[str]) -> None:
    assert {violation.field for violation in check_fields(draft)} == fields
    assert [field for field in fields if not is_path_of(draft.kind, field)] == []


def members(name: str, descriptor: Any) -> set[str]:
    return {f"{name}.{member}" for member in descriptor.fields_by_name}


def test_every_field_that_an_edit_breaks_is_named() -> None:
    request = pb.EditImageRequest(
        **COMMON, images=SOURCES, mask=EMPTY, reference_images=SOURCES, n=-1, openai=OPENAI
    )
    pictures = {
        f"{name}[{index}]{way}" for name in ("images", "reference_images") for index, way in enumerate(WAYS)
    }
    options = members("openai", pb.OpenaiOptions.DESCRIPTOR)
    assert_named(edit_image_draft(request), {*COMMON, "prompt", "mask", "n"} | pictures | options)


def test_every_field_that_a_model_edit_breaks_is_named() -> None:
    draft = model_edit_draft(pb.CreateModelEditRequest(**COMMON))
    assert_named(draft, {*COMMON, "edit_instructions", "base_model_task_id"})


@pytest.mark.parametrize("way", WAYS)
def test_every_field_that_a_default_model_breaks_is_named(way: str) -> None:
    request = pb.CreateDefaultModelRequest(**COMMON, image=WAYS[way], angle="above", body_profile=PROFILE)
    person = members("body_profile", task_pb2.BodyProfile.DESCRIPTOR)
    assert_named(default_model_draft(request), {*COMMON, f"image{way}", "angle"} | person)
