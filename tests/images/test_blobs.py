"""Bytes are durable before they are named, found again as they were, and never half there (P1, F3, F83)."""

import asyncio
import errno
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.images.blobs import files as blobs_module
from imageedit_server.images.blobs.files import CHUNK_BYTES, BlobStore, StorageBroken
from tests.images.pictures import files

DATA = bytes(range(256)) * 2600 + b"the end"
"""Two chunks and a bit."""


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def keep(blobs: BlobStore, data: bytes = DATA) -> str:
    async with blobs.stage(pieces(data)) as staged:
        return await blobs.commit(staged)


async def read(blobs: BlobStore, image_id: str, offset: int = 0, chunk_bytes: int = CHUNK_BYTES) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(image_id, offset, chunk_bytes)])


async def test_bytes_are_kept_under_their_digest(blobs: BlobStore) -> None:
    image_id = await keep(blobs)
    assert image_id == f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    assert blobs.path(image_id).read_bytes() == DATA
    assert await read(blobs, image_id) == DATA


async def test_nobody_else_may_read_them(blobs: BlobStore, tmp_path: Path) -> None:
    await keep(blobs)
    for path in (tmp_path / "blobs").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700)


async def test_the_file_and_its_directory_are_synced_off_the_loop(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
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


async def test_what_is_not_committed_is_gone(blobs: BlobStore, tmp_path: Path) -> None:
    async with blobs.stage(pieces(DATA)) as staged:
        assert staged.path.read_bytes() == DATA
        assert (staged.size_bytes, staged.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert files(tmp_path) == []


async def test_a_broken_upload_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield DATA
        yield DATA
        assert len(files(tmp_path)) == 1, "the first is written before the third is asked for"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async with blobs.stage(broken()):
            pass
    assert files(tmp_path) == []


async def test_a_cancelled_upload_leaves_nothing_wherever_it_was(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled, twice, while a thread writes; the file must outlive the write and no longer."""
    writing, go_on = threading.Event(), threading.Event()
    write = blobs_module.Staged.write

    def slow_write(self: blobs_module.Staged, data: bytes) -> None:
        writing.set()
        assert go_on.wait(20)
        write(self, data)

    monkeypatch.setattr(blobs_module.Staged, "write", slow_write)
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
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write waits for them here: it would wait for ever if they waited for it."""
    arrived = threading.Event()
    write = blobs_module.Staged.write

    def patient_write(self: blobs_module.Staged, data: bytes) -> None:
        assert arrived.wait(60)
        write(self, data)

    async def chunks() -> AsyncIterator[bytes]:
        yield DATA
        arrived.set()
        yield DATA

    monkeypatch.setattr(blobs_module.Staged, "write", patient_write)
    async with blobs.stage(chunks()) as staged:
        assert staged.size_bytes == 2 * len(DATA)


async def test_equal_uploads_at_once_are_one_file(blobs: BlobStore, tmp_path: Path) -> None:
    assert len(set(await asyncio.gather(*(keep(blobs) for _ in range(20))))) == 1
    assert [path.read_bytes() for path in files(tmp_path)] == [DATA]


async def test_an_upload_mends_a_damaged_file(blobs: BlobStore) -> None:
    image_id = await keep(blobs)
    blobs.path(image_id).write_bytes(b"damaged")
    assert await keep(blobs) == image_id
    assert await read(blobs, image_id) == DATA


async def test_a_reader_keeps_its_file_through_an_equal_upload(blobs: BlobStore) -> None:
    image_id = await keep(blobs)
    reading = blobs.read(image_id)
    first = await anext(reading)
    await keep(blobs)
    assert first + b"".join([chunk async for chunk in reading]) == DATA


def test_the_start_sweeps_what_a_crash_left(blobs: BlobStore, tmp_path: Path) -> None:
    leftover = tmp_path / "blobs" / "tmp" / "leftover"
    leftover.write_bytes(b"half")
    blobs.prepare()
    assert files(tmp_path) == []


async def test_a_million_tiny_chunks_are_few_writes(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F82: empty chunks are nothing, and one byte is no reason for a thread."""
    sizes: list[int] = []
    write = blobs_module.Staged.write

    def counted(self: blobs_module.Staged, data: bytes) -> None:
        sizes.append(len(data))
        write(self, data)

    async def tiny() -> AsyncIterator[bytes]:
        for _ in range(1_000_000):
            yield b""
        for _ in range(CHUNK_BYTES + 1):
            yield b"x"

    monkeypatch.setattr(blobs_module.Staged, "write", counted)
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


async def test_a_short_write_is_continued(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_module, "FileIO", SmallDisk)
    monkeypatch.setattr(SmallDisk, "room", len(DATA))
    assert await read(blobs, await keep(blobs)) == DATA


async def test_a_full_disk_is_a_refusal(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs_module, "FileIO", SmallDisk)
    with pytest.raises(Refusal) as refused:
        await keep(blobs)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert files(tmp_path) == []


async def test_a_broken_disk_is_fatal(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs_module, "FileIO", SmallDisk)
    monkeypatch.setattr(SmallDisk, "error", errno.EIO)
    with pytest.raises(StorageBroken):
        await keep(blobs)
    assert files(tmp_path) == []


@pytest.mark.parametrize("failing", ["bytes", "directory"])
async def test_a_failed_fsync_is_fatal_and_never_tried_again(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
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
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
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
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Refusal) as refused:
        await keep(blobs)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert files(tmp_path) == []


@pytest.mark.parametrize("offset", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 600_000])
async def test_a_download_starts_at_its_offset(blobs: BlobStore, offset: int) -> None:
    assert await read(blobs, await keep(blobs), offset) == DATA[offset:]


@pytest.mark.parametrize("offset", [len(DATA), len(DATA) + 1, 10**12])
async def test_there_is_nothing_from_the_end_on(blobs: BlobStore, offset: int) -> None:
    assert await read(blobs, await keep(blobs), offset) == b""


def test_every_offset_and_chunk_size_gives_the_same_bytes(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    blobs.prepare()
    data = b"0123456789"
    image_id = asyncio.run(keep(blobs, data))

    @given(offset=st.integers(0, 12), chunk_bytes=st.integers(1, 12))
    def same(offset: int, chunk_bytes: int) -> None:
        assert asyncio.run(read(blobs, image_id, offset, chunk_bytes)) == data[offset:]

    same()


def flipped(at: int) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return flip


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped first bit": flipped(0),
    "a flipped last bit": flipped(-1),
    "cut short": lambda path: os.truncate(path, len(DATA) - 1),
    "cut before the last chunk": lambda path: os.truncate(path, CHUNK_BYTES),
    "empty": lambda path: os.truncate(path, 0),
    "grown": lambda path: path.write_bytes(DATA + b"x"),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("offset", [0, 300_000, len(DATA)])
async def test_damage_is_told_before_the_last_chunk(
    blobs: BlobStore, damage: Callable[[Path], object], offset: int
) -> None:
    """F83: nobody who counts the bytes can take a damaged file for a whole one."""
    image_id = await keep(blobs)
    damage(blobs.path(image_id))
    received = bytearray()

    async def receive() -> None:
        async for chunk in blobs.read(image_id, offset):
            received.extend(chunk)

    with pytest.raises(Refusal) as refused:
        await receive()
    assert refused.value.reason is Reason.IMAGE_CORRUPT
    assert len(received) < max(len(DATA) - offset, 1)


@pytest.mark.parametrize("image_id", ["", "sha256:", "sha256:" + "0" * 63, "sha256:../" + "0" * 61, "x"])
async def test_what_is_no_id_finds_no_file(blobs: BlobStore, image_id: str) -> None:
    with pytest.raises(Refusal) as refused:
        await read(blobs, image_id)
    assert refused.value.reason is Reason.IMAGE_NOT_FOUND
