"""Every implementation of the ``BlobStore`` seam: one joins the suite with one line in ``BLOB_STORES``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from imageedit_server.images.blobs.base import BlobStore
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.runtime.clock import Clock
from tests.images.pictures import files
from tests.store.making import NOW


class HandClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Member:
    """How the suite makes a store with what it keeps under a folder, and looks behind it.

    ``make`` is called again on the same folder for what a later process finds. ``kept`` is everything that
    takes room there, whole or half; ``damage`` replaces an image's bytes by what a function makes of them,
    None for nothing.
    """

    make: Callable[[Path, Clock], BlobStore]
    kept: Callable[[Path], list[bytes]]
    damage: Callable[[Path, str, Callable[[bytes], bytes | None]], None]


def make_files(folder: Path, clock: Clock) -> BlobStore:
    return FileBlobStore(folder, clock)


def kept_in_files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in files(folder)]


def damage_files(folder: Path, image_id: str, change: Callable[[bytes], bytes | None]) -> None:
    [path] = [path for path in files(folder) if path.name == image_id.removeprefix("sha256:")]
    changed = change(path.read_bytes())
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)


# fmt: off
BLOB_STORES: Mapping[str, Member] = MappingProxyType({
    "files": Member(make=make_files, kept=kept_in_files, damage=damage_files),
})
# fmt: on
