"""Edit pictures through an imageedit service: an async and a sync client with the same methods.

    from pathlib import Path
    from imageedit_client import Client, succeeded

    with Client("127.0.0.1:50051") as client:
        task = client.edit_image("make it warmer", [Path("photo.jpg")])
        task = succeeded(client.wait(task.task_id))
        for number, image in enumerate(task.images):
            client.download_to(image.image_id, Path(f"edited-{number}.jpg"))

AsyncClient is used the same way, with `async with` and `await`; watch() and list() are async iterators.
Calls bridge a restart of the service by themselves, and a create never makes two tasks of one call.
"""

import os
from typing import TYPE_CHECKING

# What gRPC documents as its default. Without it every handshake that fails is a line on stderr.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from imageedit.v1.image_edit_service_pb2 import IdeogramOptions, OpenaiOptions, SeedreamOptions
from imageedit.v1.image_pb2 import Image, ImageSource
from imageedit.v1.model_pb2 import Model
from imageedit.v1.task_pb2 import BodyProfile, Task, TaskEvent

from .async_client import AsyncClient
from .client import Client
from .connection import UnencryptedKeyWarning
from .downloads import Saved
from .errors import (
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    ImageEditError,
    Internal,
    InvalidArgument,
    NotFound,
    NotReady,
    OutOfRange,
    PermissionDenied,
    RequestIdReused,
    ResourceExhausted,
    SlowConsumer,
    TaskFailed,
    Unauthenticated,
    Unavailable,
    succeeded,
)
from .retry import Pace
from .service_config import service_config
from .uploads import ImageInput

__all__ = [
    "AsyncClient",
    "BodyProfile",
    "Client",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "IdeogramOptions",
    "Image",
    "ImageEditError",
    "ImageInput",
    "ImageSource",
    "Internal",
    "InvalidArgument",
    "Model",
    "NotFound",
    "NotReady",
    "OpenaiOptions",
    "OutOfRange",
    "Pace",
    "PermissionDenied",
    "RequestIdReused",
    "ResourceExhausted",
    "Saved",
    "SeedreamOptions",
    "SlowConsumer",
    "Task",
    "TaskEvent",
    "TaskFailed",
    "Unauthenticated",
    "Unavailable",
    "UnencryptedKeyWarning",
    "service_config",
    "succeeded",
]

if TYPE_CHECKING:
    __version__: str
    """The version of the installed distribution, as pyproject.toml states it."""
else:

    def __getattr__(name: str) -> str:
        """Read ``__version__`` when it is asked for: the metadata that holds it take milliseconds."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version  # noqa: PLC0415  whoever does not ask does not pay

        return version("imageedit")
