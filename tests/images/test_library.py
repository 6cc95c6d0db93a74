"""A picture is looked at, kept and given back; what is refused leaves nothing (P1, P19, P20, F17)."""

import asyncio
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.image import Image, Transparency, image_id_of
from imageedit_server.images.blobs import disk_calls
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.blobs.staging import CHUNK_BYTES
from imageedit_server.images.inspection import InspectionFailed
from imageedit_server.images.library import ImageLibrary
from imageedit_server.runtime.workers import Overran, WorkerDied, Workers, WorkersBroken
from imageedit_server.sandbox.pool import WorkerPool
from tests.images.pictures import PHOTO, encoded, files

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """As much as is worth a write, and the rest."""
    yield data[:CHUNK_BYTES]
    yield data[CHUNK_BYTES:]


@pytest.fixture
def large(photo: bytes) -> bytes:
    """A picture that has a file while it is looked at, and is sound."""
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    return photo[:2] + comment * (CHUNK_BYTES // len(comment) + 1) + photo[2:]


async def test_a_photo_is_known_and_given_back(library: ImageLibrary, photo: bytes) -> None:
    image = await library.add_bytes(photo, field="images[0].content")
    assert image == Image(
        image_id=f"sha256:{hashlib.sha256(photo).hexdigest()}",
        media_type="image/jpeg",
        width=512,
        height=600,
        size_bytes=len(photo),
        transparency=Transparency.NONE,
    )
    assert await library.content(image) == photo
    assert b"".join([chunk async for chunk in library.read(image.image_id)]) == photo
    assert b"".join([chunk async for chunk in library.read(image.image_id, 61_000)]) == photo[61_000:]


@pytest.mark.parametrize("written", ["{}", "sha256:{}", "SHA256:{}", ""])
async def test_the_expected_digest_may_be_given(library: ImageLibrary, photo: bytes, written: str) -> None:
    expected = written.format(hashlib.sha256(photo).hexdigest())
    await library.add(one(photo), field="chunk", expected_sha256=expected)


async def test_another_digest_is_refused_before_anything_is_decoded(
    library: ImageLibrary, tmp_path: Path
) -> None:
    with pytest.raises(Refusal) as refused:
        await library.add(one(b"not even a picture"), field="chunk", expected_sha256="0" * 64)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.value.violations] == ["info.sha256"]
    assert files(tmp_path) == []


async def test_a_refusal_names_the_field(library: ImageLibrary, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(b"text", field="images[0].content")
    assert refused.value.reason is Reason.IMAGE_UNDECODABLE
    assert refused.value.message == "images[0].content is text, not a PNG, JPEG or WebP picture"
    assert [violation.field for violation in refused.value.violations] == ["images[0].content"]
    assert files(tmp_path) == []


async def test_bytes_are_counted_while_they_stream(
    blobs: FileBlobStore, pool: WorkerPool, tmp_path: Path
) -> None:
    """An endless upload ends at the limit (P20)."""
    library = ImageLibrary(blobs, pool, max_bytes=1_000_000, max_pixels=1)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(300_000)

    with pytest.raises(Refusal) as refused:
        await library.add(endless(), field="chunk")
    assert refused.value.reason is Reason.IMAGE_TOO_LARGE
    assert refused.value.message == "chunk has more than 1000000 bytes, the most that is allowed"
    assert files(tmp_path) == []


async def test_exactly_the_limit_is_allowed(blobs: FileBlobStore, pool: WorkerPool, photo: bytes) -> None:
    library = ImageLibrary(blobs, pool, max_bytes=len(photo), max_pixels=512 * 600)
    await library.add_bytes(photo, field="chunk")


class FailingWorkers(Workers):
    """Stands in for a pool: raises what it is given, once it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = asyncio.Event()

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.asked.set()
        if self.error is None:
            await asyncio.Event().wait()
        raise self.error or AssertionError


async def test_workers_that_cannot_start_are_not_the_pictures_fault(
    blobs: FileBlobStore, tmp_path: Path, photo: bytes
) -> None:
    library = ImageLibrary(blobs, FailingWorkers(WorkersBroken()), max_bytes=10**6, max_pixels=10**6)
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(photo, field="chunk")
    assert refused.value.reason is Reason.INTERNAL_ERROR
    assert refused.value.retry_after_seconds
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", [WorkerDied("was killed"), Overran("took long"), MemoryError()], ids=repr)
async def test_a_dead_worker_is_the_pictures_fault(
    blobs: FileBlobStore, tmp_path: Path, photo: bytes, error: Exception
) -> None:
    """F17: what kills its decoder or takes too much is not taken."""
    library = ImageLibrary(blobs, FailingWorkers(error), max_bytes=10**6, max_pixels=10**6)
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(photo, field="chunk")
    assert refused.value.reason is Reason.IMAGE_UNDECODABLE
    assert files(tmp_path) == []


async def test_a_shutdown_is_nobodys_fault(blobs: FileBlobStore, tmp_path: Path, photo: bytes) -> None:
    closed = WorkerPool()
    await closed.aclose()
    with pytest.raises(Refusal) as refused:
        await ImageLibrary(blobs, closed, max_bytes=10**6, max_pixels=10**6).add_bytes(photo, field="chunk")
    assert refused.value.reason is Reason.DRAINING
    assert files(tmp_path) == []


@pytest.mark.parametrize(("size_bytes", "temporary"), [(CHUNK_BYTES - 1, 0), (CHUNK_BYTES, 1)])
async def test_a_client_that_leaves_during_inspection_leaves_nothing(
    blobs: FileBlobStore, tmp_path: Path, size_bytes: int, temporary: int
) -> None:
    """What is small has no file before it is known to be a picture."""
    workers = FailingWorkers()
    library = ImageLibrary(blobs, workers, max_bytes=10**6, max_pixels=10**6)
    upload = asyncio.create_task(library.add_bytes(bytes(size_bytes), field="chunk"))
    await workers.asked.wait()
    assert len(files(tmp_path)) == temporary
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert files(tmp_path) == []


@pytest.mark.parametrize(("step", "stored"), [("write", 0), ("rest", 0), ("sync", 0), ("commit", 1)])
async def test_a_client_that_leaves_while_the_disk_works_leaves_nothing_half_done(
    library: ImageLibrary,
    tmp_path: Path,
    large: bytes,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    stored: int,
) -> None:
    """Once the commit has begun, the whole file may stay, as after a crash there (F4)."""
    steps = iter(["write", "rest", "sync", "commit", "discard"])
    begin = disk_calls.begin

    def cancelled_at_step(function: Callable[..., Any], /, *args: Any) -> asyncio.Future[Any]:
        task = asyncio.current_task()
        if next(steps) == step and task:
            task.cancel()
        return begin(function, *args)

    monkeypatch.setattr(disk_calls, "begin", cancelled_at_step)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(library.add(pieces(large), field="chunk"))
    assert [path.read_bytes() for path in files(tmp_path)] == [large] * stored
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


# Made durable while it is looked at


class Looking(Workers):
    """Stands in for a pool: looks until it is let go, and then really, unless it is to raise ``error``."""

    def __init__(self, until: Callable[[], Awaitable[object]], error: Exception | None = None) -> None:
        self._until = until
        self._error = error

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        await self._until()
        if self._error:
            raise self._error
        return function(*args, **kwargs)


REFUSED = InspectionFailed("IMAGE_UNDECODABLE", "is text")


def looked_at(blobs: FileBlobStore, workers: Workers, broken: list[Exception]) -> ImageLibrary:
    return ImageLibrary(blobs, workers, max_bytes=10**6, max_pixels=10**6, on_broken=broken.append)


class Synced:
    """Tells of the first fsync, which fails with ``error`` if there is one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.ended = threading.Event()
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.begun.set()
        assert self.go_on.wait(60)
        self.ended.set()
        if self.error:
            raise OSError(self.error, os.strerror(self.error))

    async def is_under_way(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 60)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    return Synced(monkeypatch)


async def test_a_large_picture_is_synced_while_it_is_looked_at(
    blobs: FileBlobStore, large: bytes, synced: Synced
) -> None:
    """The look waits for the sync here: it would wait for ever if that waited for the look."""
    kept = await looked_at(blobs, Looking(synced.is_under_way), []).add_bytes(large, field="chunk")
    assert blobs.path(kept.image_id).read_bytes() == large


async def test_nothing_is_synced_of_a_small_picture_that_is_refused(
    blobs: FileBlobStore, photo: bytes, synced: Synced
) -> None:
    with pytest.raises(Refusal):
        await looked_at(blobs, FailingWorkers(REFUSED), []).add_bytes(photo, field="chunk")
    assert not synced.begun.is_set()


async def test_a_name_is_given_when_the_sync_has_ended(
    blobs: FileBlobStore, large: bytes, synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: however soon the look is over."""
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        assert synced.ended.is_set()
        return rename(path, target)

    async def soon() -> None:
        await synced.is_under_way()
        asyncio.get_running_loop().call_later(0.05, synced.go_on.set)

    monkeypatch.setattr(Path, "rename", late)
    synced.go_on.clear()
    await looked_at(blobs, Looking(soon), []).add_bytes(large, field="chunk")


async def test_a_client_that_leaves_during_the_sync_leaves_nothing(
    blobs: FileBlobStore, tmp_path: Path, large: bytes, synced: Synced
) -> None:
    """However often it leaves: the file outlives the sync and no longer."""
    library = looked_at(blobs, Looking(synced.is_under_way), [])
    synced.go_on.clear()
    adding = asyncio.create_task(library.add_bytes(large, field="chunk"))
    await synced.is_under_way()
    for _ in range(3):
        adding.cancel()
        await asyncio.sleep(0)
    assert not adding.done()
    assert [path.parent.name for path in files(tmp_path)] == ["tmp"]
    synced.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert files(tmp_path) == []


async def test_a_disk_that_breaks_while_a_picture_is_refused_is_told(
    blobs: FileBlobStore, tmp_path: Path, large: bytes, synced: Synced
) -> None:
    """F22: what the disk lost was not this picture's alone."""
    synced.error = errno.EIO
    broken: list[Exception] = []
    with pytest.raises(StorageBroken):
        await looked_at(blobs, Looking(synced.is_under_way, REFUSED), broken).add_bytes(large, field="chunk")
    assert len(broken) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [(REFUSED, Reason.IMAGE_UNDECODABLE), (None, Reason.STORAGE_FULL)],
    ids=["bad", "sound"],
)
async def test_a_full_disk_is_told_of_a_sound_picture_alone(
    blobs: FileBlobStore,
    tmp_path: Path,
    large: bytes,
    synced: Synced,
    error: Exception | None,
    reason: Reason,
) -> None:
    synced.error = errno.ENOSPC
    with pytest.raises(Refusal) as refused:
        await looked_at(blobs, Looking(synced.is_under_way, error), []).add_bytes(large, field="chunk")
    assert refused.value.reason is reason
    assert files(tmp_path) == []


async def test_a_picture_may_only_be_looked_at(library: ImageLibrary, tmp_path: Path, photo: bytes) -> None:
    async with library.stage_bytes(photo, field="chunk") as pending:
        pass
    assert files(tmp_path) == []
    assert pending.image == await library.add_bytes(photo, field="chunk")


async def test_a_small_picture_is_kept_in_one_turn_of_a_thread_and_read_in_one(
    library: ImageLibrary, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every turn costs about as much as the work itself."""
    turns: list[object] = []
    begin = disk_calls.begin

    def counted(function: Callable[..., Any], /, *args: Any) -> asyncio.Future[Any]:
        turns.append(function)
        return begin(function, *args)

    monkeypatch.setattr(disk_calls, "begin", counted)
    image = await library.add_bytes(photo, field="chunk")
    assert len(turns) == 1
    assert b"".join([chunk async for chunk in library.read(image.image_id)]) == photo
    assert len(turns) == 2


async def test_equal_pictures_at_once_are_one_file(
    library: ImageLibrary, tmp_path: Path, photo: bytes
) -> None:
    images = await asyncio.gather(*(library.add_bytes(photo, field="chunk") for _ in range(10)))
    assert len(set(images)) == 1
    assert len(files(tmp_path)) == 1


UPLOAD = """
import asyncio, sys
from pathlib import Path
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.inspection import InspectionFailed
from imageedit_server.images.library import ImageLibrary
from imageedit_server.sandbox.pool import WorkerPool
from tests.images.pictures import files
async def main():
    blobs = FileBlobStore(Path(sys.argv[1]))
    blobs.prepare()
    library = ImageLibrary(blobs, WorkerPool(), max_bytes=10**6, max_pixels=10**6)
    await library.add_bytes(sys.stdin.buffer.read(), field="chunk")
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("failpoint", "temporary", "stored"), [("upload_before_fsync", 1, 0), ("upload_after_rename", 0, 1)]
)
async def test_a_crash_leaves_what_is_promised(
    tmp_path: Path, photo: bytes, failpoint: str, temporary: int, stored: int
) -> None:
    """F3: a temporary file, swept at the next start. F4: a whole file of which nothing speaks."""
    crashed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", UPLOAD, str(tmp_path)],
        input=photo,
        env=os.environ | {"IMAGEEDIT_FAILPOINT": f"{failpoint}:kill"},
        check=False,
    )
    assert crashed.returncode == -signal.SIGKILL
    assert (len(files(tmp_path / "tmp")), len(files(tmp_path))) == (temporary, temporary + stored)
    blobs = FileBlobStore(tmp_path)
    blobs.prepare()
    assert [path.read_bytes() for path in files(tmp_path)] == [photo] * stored


# What is around the pixels is made good (P19)


@pytest.mark.parametrize("paid", [True, False], ids=["a result", "an upload"])
@pytest.mark.parametrize("tail", [b"\n\n", bytes(400_000)], ids=["in memory", "in a file"])
async def test_what_is_made_of_a_picture_is_what_is_stored(
    results: ImageLibrary,
    library: ImageLibrary,
    blobs: FileBlobStore,
    tmp_path: Path,
    tail: bytes,
    paid: bool,
) -> None:
    """Its id, its size and its bytes are those of the picture, not of the file that came."""
    with Pillow.open(io.BytesIO(PHOTO)) as image:
        whole = encoded(image, "PNG")
    taking = results if paid else library
    kept = await taking.add_bytes(whole + tail, field="result")
    assert kept.image_id == image_id_of(hashlib.sha256(whole).hexdigest())
    assert (kept.size_bytes, kept.width, kept.height) == (len(whole), 512, 600)
    assert await taking.content(kept) == whole
    assert files(tmp_path / "blobs") == [blobs.path(kept.image_id)]


async def test_the_expected_digest_is_that_of_the_bytes_that_came(
    library: ImageLibrary, photo: bytes
) -> None:
    came = photo + bytes(400)
    digest = hashlib.sha256(came).hexdigest()
    kept = await library.add(one(came), field="chunk", expected_sha256=digest)
    assert kept == await library.add_bytes(photo, field="chunk")


async def test_a_sound_result_is_stored_as_it_came(results: ImageLibrary) -> None:
    kept = await results.add_bytes(PHOTO, field="result")
    assert await results.content(kept) == PHOTO


async def test_a_result_that_cannot_be_taken_is_named(results: ImageLibrary, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="result is an SVG drawing, not a PNG, JPEG or WebP picture"):
        await results.add_bytes(b"<svg/>", field="result")
    assert files(tmp_path / "blobs") == []
