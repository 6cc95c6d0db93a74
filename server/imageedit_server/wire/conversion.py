"""Messages to drafts. Converts only; what is allowed is decided by the rules in ``core``."""

from collections.abc import Sequence, Sized
from datetime import timedelta
from itertools import chain
from typing import Any

from google.protobuf.duration_pb2 import Duration

from imageedit.v1 import image_edit_service_pb2 as service_pb
from imageedit.v1 import image_pb2, task_pb2
from imageedit_server.core.errors import invalid, refuse_fields
from imageedit_server.core.fields import MAX_LABELS, MAX_SOURCES, MAX_USER_ID_CHARS, check_text
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, Options, SeedreamOptions
from imageedit_server.core.request import (
    DEFAULT_TIMEOUT,
    BodyProfile,
    Content,
    Draft,
    ImageRef,
    Kind,
    OnUnknown,
    Source,
    TaskOutput,
    Url,
)
from imageedit_server.core.task import State

_Create = (
    service_pb.EditImageRequest | service_pb.CreateModelEditRequest | service_pb.CreateDefaultModelRequest
)


def edit_image_draft(request: service_pb.EditImageRequest) -> Draft:
    """Convert a request of EditImage."""
    return Draft(
        kind=Kind.EDIT_IMAGE,
        prompt=request.prompt,
        images=_sources("images", request.images),
        has_mask=request.HasField("mask"),
        mask=_source(request.mask),
        reference_images=_sources("reference_images", request.reference_images),
        n=request.n or 1,
        options=_options(request),
        **_common(request),
    )


def model_edit_draft(request: service_pb.CreateModelEditRequest) -> Draft:
    """Convert a request of CreateModelEdit."""
    return Draft(
        kind=Kind.MODEL_EDIT,
        prompt=request.edit_instructions,
        base_model_task_id=request.base_model_task_id,
        **_common(request),
    )


def default_model_draft(request: service_pb.CreateDefaultModelRequest) -> Draft:
    """Convert a request of CreateDefaultModel."""
    return Draft(
        kind=Kind.DEFAULT_MODEL,
        images=(_source(request.image),) if request.HasField("image") else (),
        angle=request.angle or "front",
        body_profile=_profile(request.body_profile) if request.HasField("body_profile") else None,
        **_common(request),
    )


def inline_bytes(request: service_pb.EditImageRequest | service_pb.CreateDefaultModelRequest) -> int:
    """Return how large a message is in which a picture came, 0 without one. Copies nothing of it."""
    if isinstance(request, service_pb.CreateDefaultModelRequest):
        sources = [request.image]
    else:
        few = (given[:MAX_SOURCES] for given in (request.images, request.reference_images))
        sources = [request.mask, *chain.from_iterable(few)]
    is_inline = any(source.WhichOneof("source") == "content" for source in sources)
    return request.ByteSize() if is_inline else 0


def states_of(values: Sequence[int]) -> list[State]:
    """Convert the states of a filter. Raises INVALID_FIELD for one that no task can have."""
    _check_count("states", values, len(State))
    states = []
    for index, value in enumerate(values):
        name = _enum_word(task_pb2.Task.State, value, "STATE_")
        if name not in State.__members__:
            raise invalid(f"states[{index}]", f"is {value}, which is not a state of a task")
        states.append(State[name])
    return states


def user_filter_of(user_id: str) -> str:
    """Return the user of a filter. Raises INVALID_FIELD for one that no task can have."""
    if violations := list(check_text("user_id", user_id, max_chars=MAX_USER_ID_CHARS)):
        raise refuse_fields(violations)
    return user_id


def _common(request: _Create) -> dict[str, Any]:
    _check_count("labels", request.labels, MAX_LABELS)
    return {
        "request_id": request.request_id,
        "user_id": request.user_id,
        "model": request.model,
        "size": request.size,
        "timeout": _timeout(request.timeout) if request.HasField("timeout") else DEFAULT_TIMEOUT,
        "labels": dict(request.labels),
        "on_unknown": OnUnknown[_choice("on_unknown", service_pb.OnUnknown, request.on_unknown, "FAIL")],
        "validate_only": request.validate_only,
    }


def _sources(field: str, sources: Sequence[image_pb2.ImageSource]) -> tuple[Source, ...]:
    _check_count(field, sources, MAX_SOURCES)
    return tuple(map(_source, sources))


def _check_count(field: str, values: Sized, most: int) -> None:
    """Refuse a list by its length before any of it is converted: 4 MiB hold two million empty sources."""
    if len(values) > most:
        raise invalid(field, f"has {len(values)} entries; at most {most} are allowed")


def _source(source: image_pb2.ImageSource) -> Source:
    match source.WhichOneof("source"):
        case "content":
            return Content(source.content)
        case "url":
            return Url(source.url)
        case "image_id":
            return ImageRef(source.image_id)
        case "task_output":
            return TaskOutput(source.task_output.task_id, source.task_output.index)
    return None


def _options(request: service_pb.EditImageRequest) -> Options | None:
    match request.WhichOneof("options"):
        case "openai":
            return _openai(request.openai)
        case "seedream":
            quality = service_pb.SeedreamOptions.Quality
            return SeedreamOptions(
                quality=_choice("seedream.quality", quality, request.seedream.quality, "BASIC")
            )
        case "ideogram":
            return _ideogram(request.ideogram)
    return None


def _openai(options: service_pb.OpenaiOptions) -> OpenaiOptions:
    return OpenaiOptions(
        quality=options.quality,
        background=options.background,
        output_format=options.output_format,
        output_compression=options.output_compression if options.HasField("output_compression") else None,
        input_fidelity=options.input_fidelity,
        partial_images=options.partial_images,
        moderation=options.moderation,
    )


def _ideogram(options: service_pb.IdeogramOptions) -> IdeogramOptions:
    speed, style = service_pb.IdeogramOptions.RenderingSpeed, service_pb.IdeogramOptions.Style
    return IdeogramOptions(
        rendering_speed=_choice("ideogram.rendering_speed", speed, options.rendering_speed, "BALANCED"),
        style=_choice("ideogram.style", style, options.style, "AUTO"),
        expand_prompt=options.expand_prompt if options.HasField("expand_prompt") else True,
        seed=options.seed if options.HasField("seed") else None,
    )


def _profile(profile: task_pb2.BodyProfile) -> BodyProfile:
    return BodyProfile(
        gender=profile.gender,
        height_cm=profile.height_cm,
        weight_kg=profile.weight_kg,
        age=profile.age,
        skin_color=profile.skin_color,
        body_type=profile.body_type,
    )


def _timeout(duration: Duration) -> timedelta:
    """Convert a duration as it is on the wire, where it may be far outside of what the type allows."""
    try:
        return timedelta(seconds=duration.seconds, microseconds=duration.nanos / 1000)
    except OverflowError:
        return timedelta.max if duration.seconds > 0 else timedelta.min


def _choice(field: str, enum: Any, value: int, default: str) -> str:
    """Return the word of an enum value, ``default`` for its zero; an unknown number is INVALID_FIELD."""
    if value == 0:
        return default
    if value not in enum.values():
        raise invalid(field, f"is {value}, which is not a value of {enum.DESCRIPTOR.name}")
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return _enum_word(enum, value, prefix)


def _enum_word(enum: Any, value: int, prefix: str) -> str:
    return enum.Name(value).removeprefix(prefix) if value in enum.values() else ""
