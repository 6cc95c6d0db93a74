"""Bytes are durable before they are named, found again as they were, and never half there (P1, F3, F83)."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator
from io import FileIO
from pathlib import Path

import pytest

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.images.blobs import staging
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.blobs.staging import CHUNK_BYTES
from tests.images.pictures import files

DATA = bytes(range(256)) * 2600 + b"the end"
"""Two chunks and a bit."""


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def keep(blobs: FileBlobStore, data: bytes = DATA) -> str:
    async with blobs.stage(pieces(data)) as staged:
        return await blobs.commit(staged)


async def read(blobs: FileBlobStore, image_id: str, offset: int = 0, chunk_bytes: int = CHUNK_BYTES) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(image_id, offset, chunk_bytes)])


async def test_nobody_else_may_read_them(blobs: FileBlobStore, tmp_path: Path) -> None:
    await keep(blobs)
    for path in (tmp_path / "blobs").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700)


async def test_the_file_and_its_directory_are_synced_off_the_loop(
    blobs: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: the bytes before the rename, the name after it."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def record(step: str) -> None:
        assert threading.current_thread() is not threading.main_thread()
        steps.append(step)

    def recorded_fsync(descriptor: int) -> None:
        record("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "bytes")
        fsync(descriptor)

    def recorded_rename(path: Path, target: Path) -> Path:
        record("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "rename", recorded_rename)
    await keep(blobs)
    assert steps == ["bytes", "rename", "directory"]


async def test_an_error_that_passes_is_no_damage(
    blobs: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F83: whoever is told of damage throws the picture away. Control: an error that stays is damage."""
    image_id = await keep(blobs)
    failing = 1

    class Reader(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal failing
            if failing:
                failing -= 1
                raise OSError(errno.EIO, "not now")
            return super().read(size)

    monkeypatch.setattr("imageedit_server.images.blobs.files.FileIO", Reader)
    assert await read(blobs, image_id) == DATA
    failing = 2
    with pytest.raises(Refusal) as refused:
        await read(blobs, image_id)
    assert refused.value.reason is Reason.IMAGE_CORRUPT


async def test_a_cancelled_upload_leaves_nothing_wherever_it_was(
    blobs: FileBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled, twice, while a thread writes; the file must outlive the write and no longer."""
    writing, go_on = threading.Event(), threading.Event()
    write = staging.Staged.write

    def slow_write(self: staging.Staged, data: bytes) -> None:
        writing.set()
        assert go_on.wait(20)
        write(self, data)

    monkeypatch.setattr(staging.Staged, "write", slow_write)
    upload = asyncio.create_task(keep(blobs))
    await asyncio.to_thread(writing.wait, 20)
    for _ in range(2):
        upload.cancel()
        await asyncio.sleep(0)
    assert not upload.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert files(tmp_path) == []


async def test_the_next_bytes_arrive_while_those_before_are_written(
    blobs: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write waits for them here: it would wait for ever if they waited for it."""
    arrived = threading.Event()
    write = staging.Staged.write

    def patient_write(self: staging.Staged, data: bytes) -> None:
        assert arrived.wait(60)
        write(self, data)

    async def chunks() -> AsyncIterator[bytes]:
        yield DATA
        arrived.set()
        yield DATA

    monkeypatch.setattr(staging.Staged, "write", patient_write)
    async with blobs.stage(chunks()) as staged:
        assert staged.size_bytes == 2 * len(DATA)


def test_the_start_sweeps_what_a_crash_left(blobs: FileBlobStore, tmp_path: Path) -> None:
    leftover = tmp_path / "blobs" / "tmp" / "leftover"
    leftover.write_bytes(b"half")
    blobs.prepare()
    assert files(tmp_path) == []


async def test_a_million_tiny_chunks_are_few_writes(
    blobs: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F82: empty chunks are nothing, and one byte is no reason for a thread."""
    sizes: list[int] = []
    write = staging.Staged.write

    def counted(self: staging.Staged, data: bytes) -> None:
        sizes.append(len(data))
        write(self, data)

    async def tiny() -> AsyncIterator[bytes]:
        for _ in range(1_000_000):
            yield b""
        for _ in range(CHUNK_BYTES + 1):
            yield b"x"

    monkeypatch.setattr(staging.Staged, "write", counted)
    async with blobs.stage(tiny()):
        assert sizes == [CHUNK_BYTES, 1]


class SmallDisk(FileIO):
    """A file that takes little at a time, on a disk that ends in the middle of a chunk."""

    room = 400_000
    error = errno.ENOSPC

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        if self.tell() == self.room:
            raise OSError(self.error, os.strerror(self.error))
        return super().write(data[: min(100_000, self.room - self.tell())])


async def test_a_short_write_is_continued(blobs: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "FileIO", SmallDisk)
    monkeypatch.setattr(SmallDisk, "room", len(DATA))
    assert await read(blobs, await keep(blobs)) == DATA


async def test_a_full_disk_is_a_refusal(
    blobs: FileBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "FileIO", SmallDisk)
    with pytest.raises(Refusal) as refused:
        await keep(blobs)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert files(tmp_path) == []


async def test_a_broken_disk_is_fatal(
    blobs: FileBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "FileIO", SmallDisk)
    monkeypatch.setattr(SmallDisk, "error", errno.EIO)
    with pytest.raises(StorageBroken):
        await keep(blobs)
    assert files(tmp_path) == []


@pytest.mark.parametrize("failing", ["bytes", "directory"])
async def test_a_failed_fsync_is_fatal_and_never_tried_again(
    blobs: FileBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """F22. After the rename the whole file may stay, as if the crash came then (F4)."""
    calls: list[str] = []

    def fsync(descriptor: int) -> None:
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "bytes")
        if calls[-1] == failing:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageBroken):
        await keep(blobs)
    assert calls.count(failing) == 1
    assert [path.read_bytes() for path in files(tmp_path)] == ([DATA] if failing == "directory" else [])


async def test_a_broken_disk_is_told_to_a_cancelled_caller_too(
    blobs: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22: otherwise nobody would learn that the process must stop."""
    loop = asyncio.get_running_loop()
    upload = asyncio.create_task(keep(blobs))

    def fsync(descriptor: int) -> None:
        loop.call_soon_threadsafe(upload.cancel)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageBroken):
        await upload


async def test_a_full_disk_at_the_fsync_is_a_refusal(
    blobs: FileBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Refusal) as refused:
        await keep(blobs)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert files(tmp_path) == []
