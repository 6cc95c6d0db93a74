"""The images of a data dir as an operator sees them, beside a server or without one: all there, and a copy.

Of stores in a folder only, not of any ``BlobStore``: whether bytes are there in full is asked of the folder's
listing, for the seam would read every byte of every image, and a copy takes damaged bytes along as they are.
Who keeps images elsewhere compares with that store's listing, and copies with its own means.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from imageedit_server.images.blobs.files import IMAGES_FOLDER, FileBlobStore
from imageedit_server.runtime.files import make_durable


class ImageFiles:
    """The images of a data dir; ``data_dir`` need not have any yet."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / IMAGES_FOLDER
        self._blobs = FileBlobStore(self._root)

    def missing(self, images: Mapping[str, int]) -> Iterator[str]:
        """Yield those of ``images``, with their sizes, whose bytes are not there or not as many."""
        for image_id, size_bytes in images.items():
            path = self._blobs.path(image_id)
            if not path.is_file() or path.stat().st_size != size_bytes:
                yield image_id

    def copy_to(self, data_dir: Path, images: Mapping[str, int]) -> int:
        """Copy what another data dir does not have of ``images``, durably; return how many that were.

        What is missing here is left out: ``missing`` of the copy tells.
        """
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
        half = target.with_name(f"{target.name}.half")
        try:
            shutil.copyfile(self._blobs.path(image_id), half)
        except FileNotFoundError:
            return False
        make_durable(half)
        half.rename(target)
        return True
