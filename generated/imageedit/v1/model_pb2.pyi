from imageedit.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("name", "provider", "kinds", "option_family", "max_prompt_chars", "min_images", "max_images", "max_reference_images", "mask", "sizes", "max_n", "max_image_bytes", "media_types", "submit_safety", "shutdown_date")
    class Mask(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MASK_UNSPECIFIED: _ClassVar[Model.Mask]
        MASK_NONE: _ClassVar[Model.Mask]
        MASK_OPTIONAL: _ClassVar[Model.Mask]
        MASK_REQUIRED: _ClassVar[Model.Mask]
    MASK_UNSPECIFIED: Model.Mask
    MASK_NONE: Model.Mask
    MASK_OPTIONAL: Model.Mask
    MASK_REQUIRED: Model.Mask
    class SubmitSafety(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SUBMIT_SAFETY_UNSPECIFIED: _ClassVar[Model.SubmitSafety]
        SUBMIT_SAFETY_NATIVE_KEY: _ClassVar[Model.SubmitSafety]
        SUBMIT_SAFETY_CALLBACK_CORRELATED: _ClassVar[Model.SubmitSafety]
        SUBMIT_SAFETY_NONE: _ClassVar[Model.SubmitSafety]
    SUBMIT_SAFETY_UNSPECIFIED: Model.SubmitSafety
    SUBMIT_SAFETY_NATIVE_KEY: Model.SubmitSafety
    SUBMIT_SAFETY_CALLBACK_CORRELATED: Model.SubmitSafety
    SUBMIT_SAFETY_NONE: Model.SubmitSafety
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    OPTION_FAMILY_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_CHARS_FIELD_NUMBER: _ClassVar[int]
    MIN_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_REFERENCE_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    MAX_N_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPES_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_SAFETY_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_DATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    kinds: _containers.RepeatedScalarFieldContainer[_task_pb2.Task.Kind]
    option_family: str
    max_prompt_chars: int
    min_images: int
    max_images: int
    max_reference_images: int
    mask: Model.Mask
    sizes: _containers.RepeatedScalarFieldContainer[str]
    max_n: int
    max_image_bytes: int
    media_types: _containers.RepeatedScalarFieldContainer[str]
    submit_safety: Model.SubmitSafety
    shutdown_date: str
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[_task_pb2.Task.Kind, str]]] = ..., option_family: _Optional[str] = ..., max_prompt_chars: _Optional[int] = ..., min_images: _Optional[int] = ..., max_images: _Optional[int] = ..., max_reference_images: _Optional[int] = ..., mask: _Optional[_Union[Model.Mask, str]] = ..., sizes: _Optional[_Iterable[str]] = ..., max_n: _Optional[int] = ..., max_image_bytes: _Optional[int] = ..., media_types: _Optional[_Iterable[str]] = ..., submit_safety: _Optional[_Union[Model.SubmitSafety, str]] = ..., shutdown_date: _Optional[str] = ...) -> None: ...
