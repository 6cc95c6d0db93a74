import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from imageedit.v1 import image_pb2 as _image_pb2
from imageedit.v1 import model_pb2 as _model_pb2
from imageedit.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnUnknown(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_UNKNOWN_UNSPECIFIED: _ClassVar[OnUnknown]
    ON_UNKNOWN_FAIL: _ClassVar[OnUnknown]
    ON_UNKNOWN_RESUBMIT: _ClassVar[OnUnknown]
ON_UNKNOWN_UNSPECIFIED: OnUnknown
ON_UNKNOWN_FAIL: OnUnknown
ON_UNKNOWN_RESUBMIT: OnUnknown

class EditImageRequest(_message.Message):
    __slots__ = ("request_id", "user_id", "model", "prompt", "images", "mask", "reference_images", "n", "size", "timeout", "labels", "on_unknown", "validate_only", "openai", "seedream", "ideogram")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_IMAGES_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ON_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPENAI_FIELD_NUMBER: _ClassVar[int]
    SEEDREAM_FIELD_NUMBER: _ClassVar[int]
    IDEOGRAM_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    user_id: str
    model: str
    prompt: str
    images: _containers.RepeatedCompositeFieldContainer[_image_pb2.ImageSource]
    mask: _image_pb2.ImageSource
    reference_images: _containers.RepeatedCompositeFieldContainer[_image_pb2.ImageSource]
    n: int
    size: str
    timeout: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    on_unknown: OnUnknown
    validate_only: bool
    openai: OpenaiOptions
    seedream: SeedreamOptions
    ideogram: IdeogramOptions
    def __init__(self, request_id: _Optional[str] = ..., user_id: _Optional[str] = ..., model: _Optional[str] = ..., prompt: _Optional[str] = ..., images: _Optional[_Iterable[_Union[_image_pb2.ImageSource, _Mapping]]] = ..., mask: _Optional[_Union[_image_pb2.ImageSource, _Mapping]] = ..., reference_images: _Optional[_Iterable[_Union[_image_pb2.ImageSource, _Mapping]]] = ..., n: _Optional[int] = ..., size: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., on_unknown: _Optional[_Union[OnUnknown, str]] = ..., validate_only: _Optional[bool] = ..., openai: _Optional[_Union[OpenaiOptions, _Mapping]] = ..., seedream: _Optional[_Union[SeedreamOptions, _Mapping]] = ..., ideogram: _Optional[_Union[IdeogramOptions, _Mapping]] = ...) -> None: ...

class OpenaiOptions(_message.Message):
    __slots__ = ("quality", "background", "output_format", "output_compression", "input_fidelity", "partial_images", "moderation")
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIDELITY_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MODERATION_FIELD_NUMBER: _ClassVar[int]
    quality: str
    background: str
    output_format: str
    output_compression: int
    input_fidelity: str
    partial_images: int
    moderation: str
    def __init__(self, quality: _Optional[str] = ..., background: _Optional[str] = ..., output_format: _Optional[str] = ..., output_compression: _Optional[int] = ..., input_fidelity: _Optional[str] = ..., partial_images: _Optional[int] = ..., moderation: _Optional[str] = ...) -> None: ...

class SeedreamOptions(_message.Message):
    __slots__ = ("quality",)
    class Quality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        QUALITY_UNSPECIFIED: _ClassVar[SeedreamOptions.Quality]
        QUALITY_BASIC: _ClassVar[SeedreamOptions.Quality]
        QUALITY_HIGH: _ClassVar[SeedreamOptions.Quality]
    QUALITY_UNSPECIFIED: SeedreamOptions.Quality
    QUALITY_BASIC: SeedreamOptions.Quality
    QUALITY_HIGH: SeedreamOptions.Quality
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    quality: SeedreamOptions.Quality
    def __init__(self, quality: _Optional[_Union[SeedreamOptions.Quality, str]] = ...) -> None: ...

class IdeogramOptions(_message.Message):
    __slots__ = ("rendering_speed", "style", "expand_prompt", "seed")
    class RenderingSpeed(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RENDERING_SPEED_UNSPECIFIED: _ClassVar[IdeogramOptions.RenderingSpeed]
        RENDERING_SPEED_TURBO: _ClassVar[IdeogramOptions.RenderingSpeed]
        RENDERING_SPEED_BALANCED: _ClassVar[IdeogramOptions.RenderingSpeed]
        RENDERING_SPEED_QUALITY: _ClassVar[IdeogramOptions.RenderingSpeed]
    RENDERING_SPEED_UNSPECIFIED: IdeogramOptions.RenderingSpeed
    RENDERING_SPEED_TURBO: IdeogramOptions.RenderingSpeed
    RENDERING_SPEED_BALANCED: IdeogramOptions.RenderingSpeed
    RENDERING_SPEED_QUALITY: IdeogramOptions.RenderingSpeed
    class Style(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STYLE_UNSPECIFIED: _ClassVar[IdeogramOptions.Style]
        STYLE_AUTO: _ClassVar[IdeogramOptions.Style]
        STYLE_REALISTIC: _ClassVar[IdeogramOptions.Style]
        STYLE_FICTION: _ClassVar[IdeogramOptions.Style]
    STYLE_UNSPECIFIED: IdeogramOptions.Style
    STYLE_AUTO: IdeogramOptions.Style
    STYLE_REALISTIC: IdeogramOptions.Style
    STYLE_FICTION: IdeogramOptions.Style
    RENDERING_SPEED_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    EXPAND_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    rendering_speed: IdeogramOptions.RenderingSpeed
    style: IdeogramOptions.Style
    expand_prompt: bool
    seed: int
    def __init__(self, rendering_speed: _Optional[_Union[IdeogramOptions.RenderingSpeed, str]] = ..., style: _Optional[_Union[IdeogramOptions.Style, str]] = ..., expand_prompt: _Optional[bool] = ..., seed: _Optional[int] = ...) -> None: ...

class EditImageResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class CreateModelEditRequest(_message.Message):
    __slots__ = ("request_id", "user_id", "base_model_task_id", "edit_instructions", "size", "model", "timeout", "labels", "on_unknown", "validate_only")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    EDIT_INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ON_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    user_id: str
    base_model_task_id: str
    edit_instructions: str
    size: str
    model: str
    timeout: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    on_unknown: OnUnknown
    validate_only: bool
    def __init__(self, request_id: _Optional[str] = ..., user_id: _Optional[str] = ..., base_model_task_id: _Optional[str] = ..., edit_instructions: _Optional[str] = ..., size: _Optional[str] = ..., model: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., on_unknown: _Optional[_Union[OnUnknown, str]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateModelEditResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class CreateDefaultModelRequest(_message.Message):
    __slots__ = ("request_id", "user_id", "image", "angle", "body_profile", "size", "model", "timeout", "labels", "on_unknown", "validate_only")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ANGLE_FIELD_NUMBER: _ClassVar[int]
    BODY_PROFILE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ON_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    user_id: str
    image: _image_pb2.ImageSource
    angle: str
    body_profile: _task_pb2.BodyProfile
    size: str
    model: str
    timeout: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    on_unknown: OnUnknown
    validate_only: bool
    def __init__(self, request_id: _Optional[str] = ..., user_id: _Optional[str] = ..., image: _Optional[_Union[_image_pb2.ImageSource, _Mapping]] = ..., angle: _Optional[str] = ..., body_profile: _Optional[_Union[_task_pb2.BodyProfile, _Mapping]] = ..., size: _Optional[str] = ..., model: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., on_unknown: _Optional[_Union[OnUnknown, str]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateDefaultModelResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class WatchTaskRequest(_message.Message):
    __slots__ = ("task_id", "after_seq")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    after_seq: int
    def __init__(self, task_id: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class WatchTaskResponse(_message.Message):
    __slots__ = ("event", "heartbeat")
    class Heartbeat(_message.Message):
        __slots__ = ("seq",)
        SEQ_FIELD_NUMBER: _ClassVar[int]
        seq: int
        def __init__(self, seq: _Optional[int] = ...) -> None: ...
    EVENT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event: _task_pb2.TaskEvent
    heartbeat: WatchTaskResponse.Heartbeat
    def __init__(self, event: _Optional[_Union[_task_pb2.TaskEvent, _Mapping]] = ..., heartbeat: _Optional[_Union[WatchTaskResponse.Heartbeat, _Mapping]] = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    def __init__(self, task_id: _Optional[str] = ...) -> None: ...

class GetTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "user_id", "states")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    user_id: str
    states: _containers.RepeatedScalarFieldContainer[_task_pb2.Task.State]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., user_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_task_pb2.Task.State, str]]] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[_task_pb2.Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelTaskRequest(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    def __init__(self, task_id: _Optional[str] = ...) -> None: ...

class CancelTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class DeleteTaskRequest(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    def __init__(self, task_id: _Optional[str] = ...) -> None: ...

class DeleteTaskResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UploadImageRequest(_message.Message):
    __slots__ = ("info", "chunk")
    INFO_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    info: _image_pb2.UploadImageInfo
    chunk: bytes
    def __init__(self, info: _Optional[_Union[_image_pb2.UploadImageInfo, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class UploadImageResponse(_message.Message):
    __slots__ = ("image",)
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    image: _image_pb2.Image
    def __init__(self, image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ...) -> None: ...

class DownloadImageRequest(_message.Message):
    __slots__ = ("image_id", "offset")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    offset: int
    def __init__(self, image_id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class DownloadImageResponse(_message.Message):
    __slots__ = ("info", "chunk")
    INFO_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    info: _image_pb2.Image
    chunk: bytes
    def __init__(self, info: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class DeleteImageRequest(_message.Message):
    __slots__ = ("image_id",)
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    def __init__(self, image_id: _Optional[str] = ...) -> None: ...

class DeleteImageResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ...) -> None: ...
