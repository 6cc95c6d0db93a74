"""The request builders that both faces share. Pictures are added by the face, which may have to upload."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Literal, TypeAlias, TypedDict

from google.protobuf.duration_pb2 import Duration

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import task_pb2

Options: TypeAlias = service_pb2.OpenaiOptions | service_pb2.SeedreamOptions | service_pb2.IdeogramOptions
State: TypeAlias = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]

ON_UNKNOWN: dict[str, service_pb2.OnUnknown] = {
    "FAIL": service_pb2.ON_UNKNOWN_FAIL,
    "RESUBMIT": service_pb2.ON_UNKNOWN_RESUBMIT,
}


class TaskSettings(TypedDict, total=False):
    """What every create takes; what is left out is the service's default."""

    # The model, by its name in list_models().
    model: str
    # "1024x1024", "4:3" or "auto": one of the model's sizes.
    size: str
    # Time for the whole task, as timedelta or in seconds: 1 second to 24 hours, 15 minutes by default.
    timeout: timedelta | float
    # At most 16.
    labels: Mapping[str, str]
    # The caller's own end user.
    user_id: str
    # What to do when it cannot be known whether the vendor took the paid call; RESUBMIT may pay twice.
    on_unknown: Literal["FAIL", "RESUBMIT"]
    # Check everything, create and charge nothing.
    validate_only: bool
    # The idempotency key; a UUID is made when it is left out, so that a retry never creates twice.
    request_id: str


class EditSettings(TaskSettings, total=False):
    """What edit_image takes besides."""

    # How many results.
    n: int
    # Options of the model's own family.
    options: Options


class DefaultModelSettings(TaskSettings, total=False):
    """What create_default_model takes besides."""

    # The view that the picture shows.
    angle: Literal["front", "side", "back"]
    body_profile: task_pb2.BodyProfile


def edit_image(prompt: str, settings: EditSettings) -> service_pb2.EditImageRequest:
    """An edit without its pictures."""
    request = service_pb2.EditImageRequest(prompt=prompt, n=settings.get("n", 0))
    match settings.get("options"):
        case service_pb2.OpenaiOptions() as options:
            request.openai.CopyFrom(options)
        case service_pb2.SeedreamOptions() as options:
            request.seedream.CopyFrom(options)
        case service_pb2.IdeogramOptions() as options:
            request.ideogram.CopyFrom(options)
    _apply(settings, request)
    return request


def create_model_edit(
    base_model_task_id: str, edit_instructions: str, settings: TaskSettings
) -> service_pb2.CreateModelEditRequest:
    """A whole model edit: its picture is the base task's."""
    request = service_pb2.CreateModelEditRequest(
        base_model_task_id=base_model_task_id, edit_instructions=edit_instructions
    )
    _apply(settings, request)
    return request


def create_default_model(settings: DefaultModelSettings) -> service_pb2.CreateDefaultModelRequest:
    """A default model without its picture."""
    request = service_pb2.CreateDefaultModelRequest(
        angle=settings.get("angle", ""), body_profile=settings.get("body_profile")
    )
    _apply(settings, request)
    return request


def list_tasks(user_id: str, states: Iterable[State], page_size: int) -> service_pb2.ListTasksRequest:
    """The first page; the token of each answer makes the next."""
    return service_pb2.ListTasksRequest(
        user_id=user_id, page_size=page_size, states=[f"STATE_{state}" for state in states]
    )


CreateRequest: TypeAlias = (
    service_pb2.EditImageRequest | service_pb2.CreateModelEditRequest | service_pb2.CreateDefaultModelRequest
)


def _apply(settings: TaskSettings, request: CreateRequest) -> None:
    request.request_id = settings.get("request_id") or str(uuid.uuid4())
    request.user_id = settings.get("user_id", "")
    request.model = settings.get("model", "")
    request.size = settings.get("size", "")
    request.validate_only = settings.get("validate_only", False)
    request.labels.update(settings.get("labels", {}))
    if "on_unknown" in settings:
        request.on_unknown = ON_UNKNOWN[settings["on_unknown"]]
    if "timeout" in settings:
        request.timeout.CopyFrom(_duration(settings["timeout"]))


def _duration(timeout: timedelta | float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout))
    return duration
