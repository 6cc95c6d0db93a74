"""Pictures on their way to the service: what a caller may name, and the messages of an upload."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2

from .errors import InvalidArgument

KIB = 1024
CHUNK_BYTES = 256 * KIB
# The slowest line that an upload is given time for.
SLOWEST_BYTES_PER_SECOND = 64 * KIB

ImageInput: TypeAlias = Path | bytes | str | tuple[str, int] | image_pb2.ImageSource
"""A file, bytes, "sha256:..." or "https://...", (task_id, index) of a finished task, or an ImageSource."""


class Upload:
    """One picture to upload. It can be sent again and again: its messages are made anew for each try."""

    def __init__(self, picture: Path | bytes) -> None:
        """Raises OSError when the file cannot be read."""
        self._picture = picture
        with self._open() as opened:
            digest = hashlib.sha256()
            while chunk := opened.read(CHUNK_BYTES):
                digest.update(chunk)
            self.sha256 = digest.hexdigest()
            self.size_bytes = opened.tell()

    def messages(self) -> Iterator[service_pb2.UploadImageRequest]:
        """The info with the SHA-256, then the bytes in chunks of 256 KiB."""
        info = image_pb2.UploadImageInfo(sha256=self.sha256)
        yield service_pb2.UploadImageRequest(info=info)
        with self._open() as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield service_pb2.UploadImageRequest(chunk=chunk)

    def name_in(self, refusal: InvalidArgument) -> None:
        """Says in the error which file was refused: the service only knows that its bytes were."""
        if isinstance(self._picture, Path):
            name = str(self._picture)
            refusal.field_violations = tuple(
                replace(each, field=name) if each.field == "chunk" else each
                for each in refusal.field_violations
            )

    def extra_seconds(self) -> float:
        """What a slow line needs on top of an ordinary call's deadline."""
        return self.size_bytes / SLOWEST_BYTES_PER_SECOND

    def _open(self) -> BinaryIO:
        return io.BytesIO(self._picture) if isinstance(self._picture, bytes) else self._picture.open("rb")


def source_or_upload(image: ImageInput) -> image_pb2.ImageSource | Upload:
    """Names the picture for a request, or answers the upload that must come first.

    Files and bytes are always uploaded: requests stay small, and a retried one sends no picture twice.
    Raises ValueError for a string that is neither an id nor a URL, OSError for an unreadable file.
    """
    match image:
        case Path() | bytes():
            return Upload(image)
        case str():
            return _named(image)
        case (task_id, index):
            return image_pb2.ImageSource(task_output=image_pb2.TaskOutput(task_id=task_id, index=index))
        case _:
            return image


def _named(name: str) -> image_pb2.ImageSource:
    if name.startswith("sha256:"):
        return image_pb2.ImageSource(image_id=name)
    if "://" in name:
        return image_pb2.ImageSource(url=name)
    raise ValueError(f'"{name}" is neither "sha256:..." nor an https URL; give a file as pathlib.Path')
