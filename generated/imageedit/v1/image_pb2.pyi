from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Image(_message.Message):
    __slots__ = ("image_id", "media_type", "width", "height", "size_bytes", "source_url", "revised_prompt")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URL_FIELD_NUMBER: _ClassVar[int]
    REVISED_PROMPT_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    source_url: str
    revised_prompt: str
    def __init__(self, image_id: _Optional[str] = ..., media_type: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., size_bytes: _Optional[int] = ..., source_url: _Optional[str] = ..., revised_prompt: _Optional[str] = ...) -> None: ...

class ImageSource(_message.Message):
    __slots__ = ("content", "url", "image_id", "task_output")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    url: str
    image_id: str
    task_output: TaskOutput
    def __init__(self, content: _Optional[bytes] = ..., url: _Optional[str] = ..., image_id: _Optional[str] = ..., task_output: _Optional[_Union[TaskOutput, _Mapping]] = ...) -> None: ...

class TaskOutput(_message.Message):
    __slots__ = ("task_id", "index")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    index: int
    def __init__(self, task_id: _Optional[str] = ..., index: _Optional[int] = ...) -> None: ...

class UploadImageInfo(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    def __init__(self, sha256: _Optional[str] = ...) -> None: ...
