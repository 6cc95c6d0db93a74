"""The blob store in a folder: files named by the SHA-256 of their bytes, under one directory.

    <root>/tmp/<random>       being written; swept at the next start
    <root>/<aa>/<hex>         stored: complete, verified by its name, never changed

Failpoints (PROMISES §4): ``upload_before_fsync`` (F3: all bytes are written, none is promised) and
``upload_after_rename`` (F4: the file is durable, nothing speaks of it yet).
"""

import asyncio
import errno
import hashlib
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Generator,
    Iterator,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import TypeVar

from imageedit_server.core.errors import Reason, Refusal, image_not_found
from imageedit_server.core.image import IMAGE_ID, image_id_of
from imageedit_server.images.blobs import disk_calls
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.blobs.staging import CHUNK_BYTES, Staged, staging
from imageedit_server.runtime.clock import Clock, SystemClock
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.runtime.standing import StandingFolder

IMAGES_FOLDER = "images"
"""Where a data dir keeps them."""
UPLOAD_BEFORE_FSYNC = "upload_before_fsync"
UPLOAD_AFTER_RENAME = "upload_after_rename"

_SHARDS = tuple(f"{shard:02x}" for shard in range(256))
_ID_PREFIX = "sha256:"
BATCH = 500
T = TypeVar("T")
_GONE = (errno.ENOENT, errno.EIO)


class FileBlobStore:
    """Implements ``BlobStore`` with files.

    All disk work happens in threads, in pieces of 256 KiB or little more, or of a chunk that is larger.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root
        self._clock = clock or SystemClock()
        self._temporary = root / "tmp"
        self._naming = Lock()
        self._standing: list[StandingFolder] = []

    def prepare(self) -> None:
        """Create the directories, durably, and sweep what a crash left half written.

        For the one process that holds the data directory.
        """
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("tmp", *_SHARDS):
            (self._root / name).mkdir(mode=0o700, exist_ok=True)
        _fsync_directory(self._root)
        for ancestor in self._root.absolute().parents:  # each may be as new as the root
            with suppress(OSError, StorageBroken):  # one that cannot be synced was there before us
                _fsync_directory(ancestor)
        for leftover in self._temporary.iterdir():
            leftover.unlink()
        self._standing = [StandingFolder(folder) for folder in (self._root, self._temporary)]

    def lost(self) -> str:
        return next(filter(None, (each.lost() for each in self._standing)), "")

    @asynccontextmanager
    async def stage(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[Staged]:
        async with staging(self._temporary, chunks) as staged, _becoming_durable(staged):
            yield staged

    async def commit(self, staged: Staged) -> str:
        if staged.syncing is not None:
            await disk_calls.end_of(staged.syncing)
        return await disk_calls.to_the_end(disk_calls.on_disk, self._commit, staged)

    def _commit(self, staged: Staged) -> str:
        image_id = image_id_of(staged.sha256)
        if not staged.has_file:
            staged.write_out()
            _sync(staged)
        now = self._clock.now().timestamp()
        os.utime(staged.path, (now, now))  # its age is told by the clock that also judges it
        target = self.path(image_id)
        with self._naming:
            staged.path.rename(target)
        _fsync_directory(target.parent)
        staged.kept = True
        staged.close()
        failpoint(UPLOAD_AFTER_RENAME)
        return image_id

    async def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        for shard in _SHARDS:
            found = await asyncio.to_thread(_older_than, self._root / shard, moment)
            for start in range(0, len(found), BATCH):
                yield found[start : start + BATCH]

    async def remove(self, image_ids: Collection[str], *, older_than: datetime) -> list[str]:
        return await disk_calls.to_the_end(self._remove, image_ids, older_than)

    def _remove(self, image_ids: Collection[str], older_than: datetime) -> list[str]:
        return [image_id for image_id in image_ids if self._remove_one(self.path(image_id), older_than)]

    def _remove_one(self, path: Path, older_than: datetime) -> bool:
        with self._naming, suppress(FileNotFoundError):
            if path.stat().st_mtime < older_than.timestamp():
                path.unlink()
                return True
        return False

    async def erase(self, image_ids: Collection[str], *, spare: Callable[[str], bool]) -> list[str]:
        return await disk_calls.to_the_end(disk_calls.on_disk, self._erase, image_ids, spare)

    def _erase(self, image_ids: Collection[str], spare: Callable[[str], bool]) -> list[str]:
        erased = [image_id for image_id in image_ids if self._erase_one(image_id, spare)]
        for folder in {self.path(image_id).parent for image_id in erased}:
            _fsync_directory(folder)
        return erased

    def _erase_one(self, image_id: str, spare: Callable[[str], bool]) -> bool:
        with self._naming:
            if spare(image_id):
                return False
            self.path(image_id).unlink(missing_ok=True)
        return True

    async def read(
        self, image_id: str, offset: int = 0, chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncGenerator[bytes, None]:
        chunks = _verified(self.path(image_id), _digest_of(image_id), offset, chunk_bytes)
        ahead = disk_calls.begin(next, chunks)
        try:
            more = True
            while more:
                chunk, more = await disk_calls.end_of(ahead)
                if more:
                    ahead = disk_calls.begin(next, chunks)  # while this one is on its way to the caller
                if chunk:
                    yield chunk
        finally:
            try:
                with suppress(Exception):  # it was told, or nobody is there to be told
                    await disk_calls.end_of(ahead)
            finally:
                chunks.close()

    @asynccontextmanager
    async def file(self, image_id: str) -> AsyncIterator[Path]:
        path = self.path(image_id)
        async for _ in self.read(image_id):
            pass
        yield path

    def path(self, image_id: str) -> Path:
        """Return where the image's bytes are, or would be; raises ``Refusal`` (IMAGE_NOT_FOUND) for no id."""
        if not IMAGE_ID.fullmatch(image_id):
            raise image_not_found()
        digest = _digest_of(image_id)
        return self._root / digest[:2] / digest


@asynccontextmanager
async def _becoming_durable(staged: Staged) -> AsyncIterator[None]:
    """Sync what has a file during the block, in which it is looked at: both take their time.

    What of this fails is for ``commit`` to tell; of a broken disk everybody learns.
    """
    if not staged.has_file:
        yield
        return
    staged.syncing = disk_calls.begin(disk_calls.on_disk, _sync, staged)
    try:
        yield
    finally:
        with suppress(Refusal, OSError):
            await disk_calls.end_of(staged.syncing)


def _sync(staged: Staged) -> None:
    failpoint(UPLOAD_BEFORE_FSYNC)
    staged.fsync()


def _older_than(shard: Path, moment: datetime) -> list[str]:
    before = moment.timestamp()
    with os.scandir(shard) as entries:
        return [
            f"{_ID_PREFIX}{entry.name}"
            for entry in entries
            if IMAGE_ID.fullmatch(f"{_ID_PREFIX}{entry.name}") and entry.stat().st_mtime < before
        ]


def _verified(
    path: Path, sha256: str, offset: int, chunk_bytes: int
) -> Generator[tuple[bytes, bool], None, None]:
    """Yield chunks, and with each whether there will be another; the last when all is known to be right."""
    digest = hashlib.sha256()
    position = 0
    held = b""
    with _readable(path) as file:
        while piece := _twice(lambda: file.read(chunk_bytes)):
            digest.update(piece)
            if held:
                yield held, True
            held = piece[max(offset - position, 0) :]
            position += len(piece)
    if digest.hexdigest() != sha256:
        raise _corrupt()
    yield held, False


@contextmanager
def _readable(path: Path) -> Iterator[FileIO]:
    try:
        with _twice(lambda: FileIO(path)) as file:
            yield file
    except OSError as error:
        if error.errno in _GONE:
            raise _corrupt() from error
        raise


def _twice(disk_call: Callable[[], T]) -> T:
    """Once more where it fails: an error that passes says nothing about the bytes, one that stays does."""
    try:
        return disk_call()
    except OSError:
        return disk_call()


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk_calls.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest_of(image_id: str) -> str:
    return image_id.removeprefix(_ID_PREFIX)


def _corrupt() -> Refusal:
    return Refusal(Reason.IMAGE_CORRUPT, "The stored bytes of this image are damaged.")
