"""Bytes without a row go after an hour; bytes with one, or in somebody's hands, stay (F4)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from imageedit_server.core.image import Image
from imageedit_server.images.blobs import files as files_module
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.store.creation import add_images
from imageedit_server.store.decisions import change
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.unreferenced import unreferenced
from imageedit_server.upkeep import orphans as orphans_module
from imageedit_server.upkeep.orphans import Orphans
from tests.images.pictures import files
from tests.store.making import NOW, claimed_task, finish

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class HandClock:
    """Stands still; who sleeps on it is woken by hand."""

    def __init__(self) -> None:
        self.time = NOW
        self.slept: asyncio.Queue[float] = asyncio.Queue()
        self.wake = asyncio.Event()

    def now(self) -> Any:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.put_nowait(seconds)
        await self.wake.wait()
        self.wake.clear()


class House:
    """A database, a blob store and who sweeps it."""

    def __init__(self, folder: Path, database: SqliteDatabase) -> None:
        self.database = database
        self.clock = HandClock()
        self.blobs = FileBlobStore(folder / "images", self.clock)
        self.blobs.prepare()
        self.orphans = Orphans(database, self.blobs, self.clock)
        self._folder = folder

    async def keep(self, data: bytes, tenant: str = "") -> str:
        """Store bytes, and a tenant's row for them if one is named."""

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        async with self.blobs.stage(chunks()) as staged:
            image_id = await self.blobs.commit(staged)
        if tenant:
            image = Image(image_id=image_id, media_type="image/png", width=1, height=1, size_bytes=len(data))
            await self.database.write(add_images, tenant, [image], self.clock.now())
        return image_id

    def kept(self) -> set[bytes]:
        return {path.read_bytes() for path in files(self._folder / "images")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = SqliteDatabase(tmp_path)
    await database.open()
    yield House(tmp_path, database)
    await database.close()


async def test_orphans_go_after_an_hour_and_nothing_else(house: House) -> None:
    await house.keep(b"orphan")
    await house.keep(b"of one", "a")
    await house.keep(b"of another", "b")
    house.clock.time += HOUR
    assert await house.orphans.sweep() == 0, "an hour is not more than an hour"
    await house.keep(b"young")
    house.clock.time += MINUTE
    assert await house.orphans.sweep() == 1
    assert house.kept() == {b"of one", b"of another", b"young"}
    house.clock.time += HOUR
    assert await house.orphans.sweep() == 1
    assert house.kept() == {b"of one", b"of another"}


async def test_many_are_swept_in_small_steps(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageedit_server.images.blobs.files.BATCH", 2)
    for number in range(60):
        await house.keep(b"%d" % number, "a" if number % 3 == 0 else "")
    house.clock.time += 2 * HOUR
    batches = [batch async for batch in house.blobs.older_than(house.clock.now())]
    assert max(map(len, batches)) <= 2
    assert len({image_id for batch in batches for image_id in batch}) == 60
    assert await house.orphans.sweep() == 40
    assert house.kept() == {b"%d" % number for number in range(0, 60, 3)}


async def test_what_is_not_ours_is_left_alone(house: House, tmp_path: Path) -> None:
    stranger = tmp_path / "images" / "ab" / "notes.txt"
    stranger.write_bytes(b"a stranger's")
    house.clock.time += DAY * 10_000
    assert await house.orphans.sweep() == 0
    assert house.kept() == {b"a stranger's"}


async def test_equal_bytes_that_arrive_during_the_sweep_stay(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row comes after the question to the store and before the file would go."""
    await house.keep(b"again")
    house.clock.time += 2 * HOUR

    def asked_and_then(connection: Any, image_ids: Any) -> list[str]:
        found = unreferenced(connection, image_ids)
        asyncio.run_coroutine_threadsafe(house.keep(b"again", "a"), loop).result(20)
        return found

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(orphans_module, "unreferenced", asked_and_then)
    assert await house.orphans.sweep() == 0
    assert house.kept() == {b"again"}


async def test_age_and_removal_are_one_step(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise equal bytes could get their name between the two, and lose it again."""
    naming = Lock()
    monkeypatch.setattr(files_module, "Lock", lambda: naming)
    house = House(tmp_path / "again", house.database)
    unlink, rename = Path.unlink, Path.rename
    held: list[bool] = []

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name != "tmp":
            held.append(naming.locked())
        unlink(path, missing_ok)

    def renamed(path: Path, target: Path) -> Path:
        held.append(naming.locked())
        return rename(path, target)

    monkeypatch.setattr(Path, "unlink", unlinked)
    monkeypatch.setattr(Path, "rename", renamed)
    await house.keep(b"orphan")
    house.clock.time += 2 * HOUR
    assert await house.orphans.sweep() == 1
    assert held == [True, True]


async def test_what_a_running_task_has_in_hand_stays(house: House) -> None:
    """What it fetched has no row: a slow second result must not cost the first."""
    await house.keep(b"from long before")
    house.clock.time += 2 * HOUR
    claimed = await claimed_task(house.database, now=house.clock.time, timeout=DAY)
    await house.keep(b"in hand")
    house.clock.time += 10 * HOUR
    assert await house.orphans.sweep() == 1
    assert house.kept() == {b"in hand"}
    await house.database.write(change, claimed.lease, finish, house.clock.time)
    assert await house.orphans.sweep() == 1


async def test_it_sweeps_at_once_and_every_hour_whatever_happens(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await house.keep(b"first")
    house.clock.time += 2 * HOUR
    serving = asyncio.create_task(house.orphans.serve())
    assert await house.clock.slept.get() == 3600
    assert house.kept() == set()
    with monkeypatch.context() as broken:
        broken.setattr(orphans_module, "oldest_running", lambda _connection: 1 / 0)
        house.clock.wake.set()
        assert await house.clock.slept.get() == 3600
    assert "broke off" in caplog.text
    await house.keep(b"second")
    house.clock.time += 2 * HOUR
    house.clock.wake.set()
    await house.clock.slept.get()
    assert house.kept() == set()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
