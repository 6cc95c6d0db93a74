"""Bytes on their way in: held while they are few, else in a temporary file, and promised to nobody.

Every blob store stages on a local disk: a decoder is to look at a file, and the digest of all must be known
before the first byte is kept under it.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path

from imageedit_server.images.blobs import disk_calls

KIB = 1024
CHUNK_BYTES = 256 * KIB
"""How much is written, read and hashed in one turn of a thread."""


class Staged:
    """What arrived and is promised to nobody: a file that is being written, or ``content`` that is small.

    The methods that block are called by the blob store, one at a time, in threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: bytes | None = None
        """All of it, as long as it is not worth a file."""
        self.size_bytes = 0
        self.kept = False
        """Whether the file was moved to its name, durably, so that nothing is left to discard."""
        self.syncing: asyncio.Future[None] | None = None
        """The file on its way to the disk, from when it is whole."""
        self._sha256 = hashlib.sha256()
        self._file: FileIO | None = None

    @property
    def picture(self) -> Path | bytes:
        """What there is to look at: the file that has all of it, or all of it."""
        return self.path if self.content is None else self.content

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
        disk_calls.fsync(self._file.fileno())

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


@asynccontextmanager
async def staging(folder: Path, chunks: AsyncIterable[bytes]) -> AsyncIterator[Staged]:
    """Write ``chunks`` to a temporary file in ``folder``, as ``BlobStore.stage`` must."""
    staged = Staged(folder / secrets.token_hex(16))
    try:
        await _fill(staged, chunks)
        yield staged
    finally:
        if not staged.kept and staged.has_file:
            await disk_calls.to_the_end(staged.discard)


async def _fill(staged: Staged, chunks: AsyncIterable[bytes]) -> None:
    """Write ``chunks``, small ones joined, so that a thread is worth its while; meanwhile the next arrive."""
    batch = bytearray()
    writing: asyncio.Future[None] | None = None
    try:
        async for chunk in chunks:
            batch, piece = _next_piece(batch, chunk)
            if piece:
                if writing is not None:
                    await disk_calls.end_of(writing)
                writing = disk_calls.begin(disk_calls.on_disk, staged.write, piece)
    finally:
        if writing is not None:
            await disk_calls.end_of(writing)
    if not staged.has_file:
        staged.hold(bytes(batch))
    elif batch:
        await disk_calls.to_the_end(disk_calls.on_disk, staged.write, batch)


def _next_piece(batch: bytearray, chunk: bytes) -> tuple[bytearray, bytes | bytearray]:
    """Return what is left for later and what is enough to write now: a large chunk as it is."""
    if not batch and len(chunk) >= CHUNK_BYTES:
        return batch, chunk
    batch += chunk
    return (bytearray(), batch) if len(batch) >= CHUNK_BYTES else (batch, b"")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
