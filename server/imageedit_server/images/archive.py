"""The images of a data dir as an operator sees them, beside a server or without one: all there, and a copy.

Of stores in a folder only, not of any ``BlobStore``: whether bytes are there in full is asked of the folder's
listing, for the seam would read every byte of every image, and a copy takes damaged bytes along as they are.
Who keeps images elsewhere compares with that store's listing, and copies with its own means.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.runtime.files import make_durable


def missing(root: Path, images: Mapping[str, int]) -> Iterator[str]:
    """Yield the ids of images whose bytes are not there, or not as many as they should be."""
    blobs = FileBlobStore(root)
    for image_id, size_bytes in images.items():
        path = blobs.path(image_id)
        if not path.is_file() or path.stat().st_size != size_bytes:
            yield image_id


def copy_images(root: Path, target: Path, images: Mapping[str, int]) -> int:
    """Copy what ``target`` does not have yet, durably; return how many files that were.

    What is missing at the source is left out: ``missing`` of the target tells.
    """
    source, copies = FileBlobStore(root), FileBlobStore(target)
    folders, copied = set(), 0
    for image_id in missing(target, images):
        place = copies.path(image_id)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _copy(source.path(image_id), place)
        except FileNotFoundError:
            continue
        folders.add(place.parent)
        copied += 1
    for folder in (*folders, target) if folders else ():
        make_durable(folder)
    return copied


def _copy(source: Path, target: Path) -> None:
    half = target.with_name(f"{target.name}.half")
    shutil.copyfile(source, half)
    make_durable(half)
    half.rename(target)
