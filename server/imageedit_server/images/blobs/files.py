"""The blob store: files named by the SHA-256 of their bytes, under one directory.

    <root>/tmp/<random>       being written; swept at the next start
    <root>/<aa>/<hex>         stored: complete, verified by its name, never changed

Failpoints (PROMISES §4): ``upload_before_fsync`` (F3: all bytes are written, none is promised) and
``upload_after_rename`` (F4: the file is durable, nothing speaks of it yet).
"""

import asyncio
import errno
import hashlib
import os
import secrets
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
from functools import partial
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import ParamSpec, TypeVar

from imageedit_server.core.errors import Reason, Refusal, image_not_found
from imageedit_server.core.image import IMAGE_ID, image_id_of
from imageedit_server.runtime.clock import Clock, SystemClock
from imageedit_server.runtime.failpoints import failpoint

P = ParamSpec("P")
T = TypeVar("T")

KIB = 1024
CHUNK_BYTES = 256 * KIB
IMAGES_FOLDER = "images"
"""Where a data dir keeps them."""
UPLOAD_BEFORE_FSYNC = "upload_before_fsync"
UPLOAD_AFTER_RENAME = "upload_after_rename"

_SHARDS = tuple(f"{shard:02x}" for shard in range(256))
_ID_PREFIX = "sha256:"
_BATCH = 500
_FULL = (errno.ENOSPC, errno.EDQUOT)
_GONE = (errno.ENOENT, errno.EIO)


class StorageBroken(Exception):
    """The disk failed to keep what it took: the process must stop, and never ask it again (F22)."""


class Staged:
    """What arrived and is promised to nobody: a file that is being written, or ``content`` that is small.

    The methods that block are called by ``BlobStore``, one at a time, in threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: bytes | None = None
        """All of it, as long as it is not worth a file."""
        self.size_bytes = 0
        self.kept = False
        """Whether the file was moved to its name, durably, so that nothing is left to discard."""
        self._sha256 = hashlib.sha256()
        self._file: FileIO | None = None

    @property
    def has_file(self) -> bool:
        """Whether there is a file yet."""
        return self._file is not None

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written so far, in hex."""
        return self._sha256.hexdigest()

    def hold(self, data: bytes) -> None:
        """Take all that there is, which is little. Does not block."""
        self.content = data
        self._sha256.update(data)
        self.size_bytes = len(data)

    def write(self, data: bytes | bytearray) -> None:
        """Append ``data`` to the file, which appears with the first call."""
        self._sha256.update(data)
        self.size_bytes += len(data)
        self._append(data)

    def write_out(self) -> None:
        """Write what was only held into the file."""
        if self.content is not None:
            self._append(self.content)

    def _append(self, data: bytes | bytearray) -> None:
        self._file = self._file or FileIO(self.path, "xb", opener=_private)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def fsync(self) -> None:
        """Make the bytes durable."""
        assert self._file is not None
        _fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, if it was ever open."""
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Close the file and remove it, unless it was moved to its name.

        What a broken disk will not remove is left to the next start, so that its first error is told.
        """
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.close()


class BlobStore:
    """Keeps bytes under their digest; all disk work happens in threads, in pieces of 256 KiB or little more.

    An operation on the disk runs to its end even when its caller is cancelled, so that no file is closed
    or removed under it. Raises ``Refusal`` (STORAGE_FULL) when the disk is full and ``StorageBroken`` when
    it lost something; both leave no file.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root
        self._clock = clock or SystemClock()
        self._temporary = root / "tmp"
        self._naming = Lock()

    def prepare(self) -> None:
        """Create the directories, durably, and sweep what a crash left half written. Blocks.

        To be called once, before all else, by the one process that holds the data directory.
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

    def path(self, image_id: str) -> Path:
        """Return where the image's bytes are, or would be; raises ``Refusal`` (IMAGE_NOT_FOUND) for no id."""
        if not IMAGE_ID.fullmatch(image_id):
            raise image_not_found()
        digest = _digest_of(image_id)
        return self._root / digest[:2] / digest

    @asynccontextmanager
    async def stage(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[Staged]:
        """Write ``chunks`` to a temporary file, for as long as the context lasts or until ``commit``.

        What has less than 256 KiB gets no file before ``commit``; of anything larger, less than twice that
        and two chunks are in memory, whatever the chunks' sizes. Whatever ends the context, an error of
        ``chunks`` or a cancellation included, leaves no temporary file.
        """
        staged = Staged(self._temporary / secrets.token_hex(16))
        try:
            await _fill(staged, chunks)
            yield staged
        finally:
            if not staged.kept and staged.has_file:
                await _to_the_end(staged.discard)

    async def commit(self, staged: Staged) -> str:
        """Make the staged file durable under its digest and return its image id (P1).

        Equal bytes that are stored already are replaced, which also mends them.
        """
        return await _to_the_end(_on_disk, self._commit, staged)

    def _commit(self, staged: Staged) -> str:
        image_id = image_id_of(staged.sha256)
        staged.write_out()
        now = self._clock.now().timestamp()
        os.utime(staged.path, (now, now))  # its age is told by the clock that also judges it
        failpoint(UPLOAD_BEFORE_FSYNC)
        staged.fsync()
        target = self.path(image_id)
        with self._naming:
            staged.path.rename(target)
        _fsync_directory(target.parent)
        staged.kept = True
        staged.close()
        failpoint(UPLOAD_AFTER_RENAME)
        return image_id

    async def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        """Yield the ids of what was stored before ``moment``, in batches of at most 500."""
        for shard in _SHARDS:
            found = await asyncio.to_thread(_older_than, self._root / shard, moment)
            for start in range(0, len(found), _BATCH):
                yield found[start : start + _BATCH]

    async def remove(self, image_ids: Collection[str], *, older_than: datetime) -> list[str]:
        """Remove the bytes of these ids, unless they were stored again since; return which were removed.

        For ids that no row speaks of. Whoever stores equal bytes meanwhile, to write a row next, makes them
        new: ``commit`` sees looking at the age and removing as one step.
        """
        return await _to_the_end(self._remove, image_ids, older_than)

    def _remove(self, image_ids: Collection[str], older_than: datetime) -> list[str]:
        return [image_id for image_id in image_ids if self._remove_one(self.path(image_id), older_than)]

    def _remove_one(self, path: Path, older_than: datetime) -> bool:
        with self._naming, suppress(FileNotFoundError):
            if path.stat().st_mtime < older_than.timestamp():
                path.unlink()
                return True
        return False

    async def read(
        self, image_id: str, offset: int = 0, chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncGenerator[bytes, None]:
        """Stream the bytes from ``offset`` on, in chunks of at most ``chunk_bytes``.

        The whole file is hashed on the way, and the last chunk is handed out only when the digest is right;
        otherwise, also when the file is missing, raises ``Refusal`` (IMAGE_CORRUPT): call this only for an
        image that is on record. Yields nothing from an offset at or beyond the end.
        """
        chunks = _verified(self.path(image_id), _digest_of(image_id), offset, chunk_bytes)
        ahead = _begin(next, chunks)
        try:
            more = True
            while more:
                chunk, more = await ahead
                if more:
                    ahead = _begin(next, chunks)  # while this one is on its way to the caller
                if chunk:
                    yield chunk
        finally:
            await asyncio.gather(ahead, return_exceptions=True)
            chunks.close()


def _older_than(shard: Path, moment: datetime) -> list[str]:
    before = moment.timestamp()
    with os.scandir(shard) as entries:
        return [
            f"{_ID_PREFIX}{entry.name}"
            for entry in entries
            if IMAGE_ID.fullmatch(f"{_ID_PREFIX}{entry.name}") and entry.stat().st_mtime < before
        ]


async def _fill(staged: Staged, chunks: AsyncIterable[bytes]) -> None:
    """Write ``chunks``, small ones joined, so that a thread is worth its while; meanwhile the next arrive."""
    batch = bytearray()
    writing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    writing.set_result(None)
    try:
        async for chunk in chunks:
            batch += chunk
            if len(batch) >= CHUNK_BYTES:
                await writing
                writing = _begin(_on_disk, staged.write, batch)
                batch = bytearray()
    finally:
        await writing
    if staged.has_file:
        await _to_the_end(_on_disk, staged.write, batch)
    else:
        staged.hold(bytes(batch))


def _verified(
    path: Path, sha256: str, offset: int, chunk_bytes: int
) -> Generator[tuple[bytes, bool], None, None]:
    """Yield chunks, and with each whether there will be another; the last when all is known to be right."""
    digest = hashlib.sha256()
    position = 0
    held = b""
    with _readable(path) as file:
        while piece := file.read(chunk_bytes):
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
        with FileIO(path) as file:
            yield file
    except OSError as error:
        if error.errno in _GONE:
            raise _corrupt() from error
        raise


def _begin(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Task[T]:
    """Begin to run ``function`` in a thread, to its end."""
    return asyncio.create_task(_to_the_end(function, *args, **kwargs))


async def _to_the_end(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a thread; a caller that is cancelled meanwhile learns so when it has ended.

    Of a broken disk the caller learns in any case.
    """
    work = asyncio.get_running_loop().run_in_executor(None, partial(function, *args, **kwargs))
    cancelled = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled and not isinstance(work.exception(), StorageBroken):
        raise cancelled
    return work.result()


def _on_disk(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` and tell a full disk from a broken one; other errors pass."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        if error.errno in _FULL:
            raise Refusal(Reason.STORAGE_FULL, "There is no space left for images.") from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise StorageBroken(os.strerror(error.errno)) from error
        raise


def _fsync(descriptor: int) -> None:
    """Make durable; after any failure but a full disk, the kernel may have dropped the bytes unseen."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise StorageBroken(str(error)) from error


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _digest_of(image_id: str) -> str:
    return image_id.removeprefix(_ID_PREFIX)


def _corrupt() -> Refusal:
    return Refusal(Reason.IMAGE_CORRUPT, "The stored bytes of this image are damaged.")
