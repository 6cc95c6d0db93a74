"""The images of a data dir as an operator sees them, beside a server or without one: all there, and a copy.

Beside ``BlobStore``, not part of it: that seam would read every byte of every image to know that all are
there in full, and has no way to copy damaged bytes as they are. Each kind of store has an archive of its own.
"""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from imageedit_server.core.image import IMAGE_ID, image_id_of
from imageedit_server.images.blobs.files import IMAGES_FOLDER, FileBlobStore
from imageedit_server.runtime.files import copy_durably, make_durable


class ImageArchive(Protocol):
    """The bytes of stored images in one place. Nothing here changes them. ``images`` are sizes by id."""

    def missing(self, images: Mapping[str, int]) -> Iterator[str]:
        """Yield the ids of ``images`` whose bytes are not there, or not as many."""
        ...

    def others(self, images: Container[str]) -> list[str]:
        """Return the ids of what is kept and is none of ``images``."""
        ...

    def copy_to(self, data_dir: Path, images: Mapping[str, int]) -> int:
        """Copy what another data dir does not have of ``images``, durably; return how many that were.

        What is missing here is left out: ``missing`` of the copy tells.
        """
        ...


class ImageFiles:
    """The ``ImageArchive`` of a data dir, which need not have any images yet, by the folder's listing."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / IMAGES_FOLDER
        self._blobs = FileBlobStore(self._root)

    def missing(self, images: Mapping[str, int]) -> Iterator[str]:
        for image_id, size_bytes in images.items():
            path = self._blobs.path(image_id)
            if not path.is_file() or path.stat().st_size != size_bytes:
                yield image_id

    def others(self, images: Container[str]) -> list[str]:
        kept = sorted(image_id_of(path.name) for path in self._root.glob("[0-9a-f][0-9a-f]/*"))
        return [each for each in kept if IMAGE_ID.fullmatch(each) and each not in images]

    def copy_to(self, data_dir: Path, images: Mapping[str, int]) -> int:
        copies = ImageFiles(data_dir)
        copied = [image_id for image_id in copies.missing(images) if self._copy_one(image_id, copies)]
        for folder in {copies._blobs.path(image_id).parent for image_id in copied} | (
            {copies._root} if copied else set()
        ):
            make_durable(folder)
        return len(copied)

    def _copy_one(self, image_id: str, copies: "ImageFiles") -> bool:
        target = copies._blobs.path(image_id)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return copy_durably(self._blobs.path(image_id), target)
