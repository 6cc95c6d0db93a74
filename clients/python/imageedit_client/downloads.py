"""A download that survives broken streams: what to ask for next, and whether the bytes are right."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import grpc

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2

from .errors import DataLoss
from .retry import Pace
from .streams import Cursor, broken_stream


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A picture that was written to a file."""

    path: Path
    image: image_pb2.Image


class DownloadCursor(Cursor[service_pb2.DownloadImageResponse, None]):
    """Where the download of one image stands. The bytes go to `sink` as they come."""

    def __init__(self, image_id: str, sink: BinaryIO, pace: Pace) -> None:
        super().__init__(pace)
        self._image_id = image_id
        self._sink = sink
        self._digest = hashlib.sha256()
        self._offset = 0
        self.image = image_pb2.Image()

    def request(self) -> service_pb2.DownloadImageRequest:
        """Asks for all bytes that are still missing."""
        return service_pb2.DownloadImageRequest(image_id=self._image_id, offset=self._offset)

    def accept(self, response: service_pb2.DownloadImageResponse) -> None:
        """Takes the next message of the stream."""
        if response.HasField("info"):
            self.image.CopyFrom(response.info)
            self.image.image_id = self._image_id  # which its bytes prove; a file may be named by it
            return
        if response.chunk:
            self._retry.alive()
        self._sink.write(response.chunk)
        self._digest.update(response.chunk)
        self._offset += len(response.chunk)

    def ended(self) -> None:
        """Notes that the stream ended OK. Raises DataLoss when the bytes are not the image's."""
        if self._offset < self.image.size_bytes:
            raise broken_stream("the download ended before its last byte")
        if f"sha256:{self._digest.hexdigest()}" != self._image_id:
            message = f"the bytes received for {self._image_id} have another SHA-256; they were thrown away"
            raise DataLoss(message, code=grpc.StatusCode.DATA_LOSS, reason="IMAGE_CORRUPT")
        self.finished = True


class PartialFile:
    """A hidden file beside its destination, gone when the block ends unless it was kept."""

    def __init__(self, destination: Path) -> None:
        """`destination` is a file to write, or a folder to put a file named by the image in."""
        self._destination = destination
        # A rename is whole only within one file system.
        self._folder = destination if destination.is_dir() else destination.parent
        self._path = self._folder / f".imageedit-{secrets.token_hex(8)}.part"

    def __enter__(self) -> Self:
        self.sink = self._path.open("xb")
        return self

    def __exit__(self, *exception: object) -> None:
        self.sink.close()
        self._path.unlink(missing_ok=True)

    def keep(self, image: image_pb2.Image) -> Saved:
        """Gives the file its name, at once and whole; replaces what was there."""
        path = self._destination
        if path.is_dir():
            path = path / f"{image.image_id.removeprefix('sha256:')[:12]}{extension(image)}"
        self.sink.close()
        self._path.replace(path)
        return Saved(path=path, image=image)


def extension(image: image_pb2.Image) -> str:
    """The usual file name ending of the image's media type, with its dot; empty when unknown."""
    return {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}.get(image.media_type, "")
