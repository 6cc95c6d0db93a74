import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from imageedit.v1 import image_pb2 as _image_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(_message.Message):
    __slots__ = ("task_id", "kind", "state", "seq", "progress_percent", "stage", "user_id", "model", "provider", "prompt", "size", "n", "base_model_task_id", "angle", "body_profile", "labels", "request_id", "images", "previews", "error", "billing", "attempts", "warnings", "create_time", "start_time", "end_time", "deadline")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Task.Kind]
        KIND_EDIT_IMAGE: _ClassVar[Task.Kind]
        KIND_MODEL_EDIT: _ClassVar[Task.Kind]
        KIND_DEFAULT_MODEL: _ClassVar[Task.Kind]
    KIND_UNSPECIFIED: Task.Kind
    KIND_EDIT_IMAGE: Task.Kind
    KIND_MODEL_EDIT: Task.Kind
    KIND_DEFAULT_MODEL: Task.Kind
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Task.State]
        STATE_QUEUED: _ClassVar[Task.State]
        STATE_RUNNING: _ClassVar[Task.State]
        STATE_SUCCEEDED: _ClassVar[Task.State]
        STATE_FAILED: _ClassVar[Task.State]
        STATE_CANCELLED: _ClassVar[Task.State]
    STATE_UNSPECIFIED: Task.State
    STATE_QUEUED: Task.State
    STATE_RUNNING: Task.State
    STATE_SUCCEEDED: Task.State
    STATE_FAILED: Task.State
    STATE_CANCELLED: Task.State
    class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STAGE_UNSPECIFIED: _ClassVar[Task.Stage]
        STAGE_PREPARING: _ClassVar[Task.Stage]
        STAGE_SUBMITTING: _ClassVar[Task.Stage]
        STAGE_WAITING: _ClassVar[Task.Stage]
        STAGE_SUBMIT_UNKNOWN: _ClassVar[Task.Stage]
        STAGE_DOWNLOADING: _ClassVar[Task.Stage]
    STAGE_UNSPECIFIED: Task.Stage
    STAGE_PREPARING: Task.Stage
    STAGE_SUBMITTING: Task.Stage
    STAGE_WAITING: Task.Stage
    STAGE_SUBMIT_UNKNOWN: Task.Stage
    STAGE_DOWNLOADING: Task.Stage
    class Billing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BILLING_UNSPECIFIED: _ClassVar[Task.Billing]
        BILLING_NOT_CHARGED: _ClassVar[Task.Billing]
        BILLING_CHARGED: _ClassVar[Task.Billing]
        BILLING_MAY_HAVE_BEEN_CHARGED: _ClassVar[Task.Billing]
    BILLING_UNSPECIFIED: Task.Billing
    BILLING_NOT_CHARGED: Task.Billing
    BILLING_CHARGED: Task.Billing
    BILLING_MAY_HAVE_BEEN_CHARGED: Task.Billing
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ANGLE_FIELD_NUMBER: _ClassVar[int]
    BODY_PROFILE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BILLING_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    kind: Task.Kind
    state: Task.State
    seq: int
    progress_percent: int
    stage: Task.Stage
    user_id: str
    model: str
    provider: str
    prompt: str
    size: str
    n: int
    base_model_task_id: str
    angle: str
    body_profile: BodyProfile
    labels: _containers.ScalarMap[str, str]
    request_id: str
    images: _containers.RepeatedCompositeFieldContainer[_image_pb2.Image]
    previews: _containers.RepeatedCompositeFieldContainer[_image_pb2.Image]
    error: TaskError
    billing: Task.Billing
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[str] = ..., kind: _Optional[_Union[Task.Kind, str]] = ..., state: _Optional[_Union[Task.State, str]] = ..., seq: _Optional[int] = ..., progress_percent: _Optional[int] = ..., stage: _Optional[_Union[Task.Stage, str]] = ..., user_id: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., prompt: _Optional[str] = ..., size: _Optional[str] = ..., n: _Optional[int] = ..., base_model_task_id: _Optional[str] = ..., angle: _Optional[str] = ..., body_profile: _Optional[_Union[BodyProfile, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., request_id: _Optional[str] = ..., images: _Optional[_Iterable[_Union[_image_pb2.Image, _Mapping]]] = ..., previews: _Optional[_Iterable[_Union[_image_pb2.Image, _Mapping]]] = ..., error: _Optional[_Union[TaskError, _Mapping]] = ..., billing: _Optional[_Union[Task.Billing, str]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TaskEvent(_message.Message):
    __slots__ = ("seq", "time", "task")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    seq: int
    time: _timestamp_pb2.Timestamp
    task: Task
    def __init__(self, seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., task: _Optional[_Union[Task, _Mapping]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "provider", "vendor_task_id", "vendor_request_id", "outcome", "billing", "error", "submit_time", "end_time", "late_images", "answer", "usage")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[Attempt.Outcome]
        OUTCOME_IN_FLIGHT: _ClassVar[Attempt.Outcome]
        OUTCOME_ACCEPTED: _ClassVar[Attempt.Outcome]
        OUTCOME_NOT_PROCESSED: _ClassVar[Attempt.Outcome]
        OUTCOME_UNKNOWN: _ClassVar[Attempt.Outcome]
        OUTCOME_SUCCEEDED: _ClassVar[Attempt.Outcome]
        OUTCOME_FAILED: _ClassVar[Attempt.Outcome]
    OUTCOME_UNSPECIFIED: Attempt.Outcome
    OUTCOME_IN_FLIGHT: Attempt.Outcome
    OUTCOME_ACCEPTED: Attempt.Outcome
    OUTCOME_NOT_PROCESSED: Attempt.Outcome
    OUTCOME_UNKNOWN: Attempt.Outcome
    OUTCOME_SUCCEEDED: Attempt.Outcome
    OUTCOME_FAILED: Attempt.Outcome
    class UsageEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    VENDOR_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    BILLING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LATE_IMAGES_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    number: int
    provider: str
    vendor_task_id: str
    vendor_request_id: str
    outcome: Attempt.Outcome
    billing: Task.Billing
    error: TaskError
    submit_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    late_images: _containers.RepeatedCompositeFieldContainer[_image_pb2.Image]
    answer: Answer
    usage: _containers.ScalarMap[str, str]
    def __init__(self, number: _Optional[int] = ..., provider: _Optional[str] = ..., vendor_task_id: _Optional[str] = ..., vendor_request_id: _Optional[str] = ..., outcome: _Optional[_Union[Attempt.Outcome, str]] = ..., billing: _Optional[_Union[Task.Billing, str]] = ..., error: _Optional[_Union[TaskError, _Mapping]] = ..., submit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., late_images: _Optional[_Iterable[_Union[_image_pb2.Image, _Mapping]]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., usage: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("status", "media_type", "size_bytes", "time", "kept")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    status: int
    media_type: str
    size_bytes: int
    time: _timestamp_pb2.Timestamp
    kept: bool
    def __init__(self, status: _Optional[int] = ..., media_type: _Optional[str] = ..., size_bytes: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kept: _Optional[bool] = ...) -> None: ...

class TaskError(_message.Message):
    __slots__ = ("reason", "message", "provider_code", "provider_message", "retryable")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CODE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    provider_code: str
    provider_message: str
    retryable: bool
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., provider_code: _Optional[str] = ..., provider_message: _Optional[str] = ..., retryable: _Optional[bool] = ...) -> None: ...

class BodyProfile(_message.Message):
    __slots__ = ("gender", "height_cm", "weight_kg", "age", "skin_color", "body_type")
    GENDER_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_CM_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_KG_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    SKIN_COLOR_FIELD_NUMBER: _ClassVar[int]
    BODY_TYPE_FIELD_NUMBER: _ClassVar[int]
    gender: str
    height_cm: float
    weight_kg: float
    age: int
    skin_color: str
    body_type: str
    def __init__(self, gender: _Optional[str] = ..., height_cm: _Optional[float] = ..., weight_kg: _Optional[float] = ..., age: _Optional[int] = ..., skin_color: _Optional[str] = ..., body_type: _Optional[str] = ...) -> None: ...
