"""What every blob store must do: durable before named, found as it was, never half there (P1, F4, F83)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.images.blobs.base import BlobStore
from imageedit_server.images.blobs.staging import CHUNK_BYTES
from tests.contracts.blobs import BLOB_STORES, HandClock, Member
from tests.store.making import NOW

DATA = bytes(range(256)) * 2600 + b"the end"
"""Two chunks and a bit."""
SMALL = b"little"
SECOND = timedelta(seconds=1)

EACH_SIZE = pytest.mark.parametrize("data", [b"", SMALL, DATA[:CHUNK_BYTES], DATA], ids=len)


@pytest.fixture(params=BLOB_STORES)
def member(request: pytest.FixtureRequest) -> Member:
    """One implementation of the ``BlobStore`` seam."""
    return BLOB_STORES[request.param]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def blobs(member: Member, tmp_path: Path, clock: HandClock) -> BlobStore:
    """An empty store with what it keeps in ``tmp_path``."""
    blobs = member.make(tmp_path, clock)
    blobs.prepare()
    return blobs


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def keep(blobs: BlobStore, data: bytes = DATA) -> str:
    async with blobs.stage(pieces(data)) as staged:
        return await blobs.commit(staged)


async def read(blobs: BlobStore, image_id: str, offset: int = 0, chunk_bytes: int = CHUNK_BYTES) -> bytes:
    chunks = [chunk async for chunk in blobs.read(image_id, offset, chunk_bytes)]
    assert all(0 < len(chunk) <= chunk_bytes for chunk in chunks)
    return b"".join(chunks)


async def older_than(blobs: BlobStore, moment: object) -> set[str]:
    return {image_id async for batch in blobs.older_than(moment) for image_id in batch}  # type: ignore[arg-type]


@EACH_SIZE
async def test_bytes_are_kept_under_their_digest(
    blobs: BlobStore, member: Member, tmp_path: Path, data: bytes
) -> None:
    image_id = await keep(blobs, data)
    assert image_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert member.kept(tmp_path) == [data]
    assert await read(blobs, image_id) == data


@EACH_SIZE
async def test_the_next_process_finds_them(
    blobs: BlobStore, member: Member, tmp_path: Path, clock: HandClock, data: bytes
) -> None:
    image_id = await keep(blobs, data)
    again = member.make(tmp_path, clock)
    again.prepare()
    assert await read(again, image_id) == data


@EACH_SIZE
async def test_what_is_staged_can_be_looked_at_and_is_gone_without_a_commit(
    blobs: BlobStore, member: Member, tmp_path: Path, data: bytes
) -> None:
    async with blobs.stage(pieces(data)) as staged:
        picture = staged.picture
        assert (picture if isinstance(picture, bytes) else picture.read_bytes()) == data
        assert (staged.size_bytes, staged.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        with pytest.raises(Refusal):
            await read(blobs, f"sha256:{staged.sha256}")
    assert member.kept(tmp_path) == []


async def test_a_broken_upload_leaves_nothing(blobs: BlobStore, member: Member, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield DATA
        yield DATA
        assert len(member.kept(tmp_path)) == 1, "the first is written before the third is asked for"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async with blobs.stage(broken()):
            pass
    assert member.kept(tmp_path) == []


async def test_an_upload_that_is_given_up_leaves_nothing(
    blobs: BlobStore, member: Member, tmp_path: Path
) -> None:
    asked = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield DATA
        yield DATA
        asked.set()
        await asyncio.Event().wait()

    async def upload() -> None:
        async with blobs.stage(endless()):
            pass

    uploading = asyncio.create_task(upload())
    await asked.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert member.kept(tmp_path) == []


async def test_a_commit_whose_caller_goes_away_is_whole_or_nothing(
    blobs: BlobStore, member: Member, tmp_path: Path
) -> None:
    for turns in range(6):
        keeping = asyncio.create_task(keep(blobs))
        for _ in range(turns):
            await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert member.kept(tmp_path) in ([], [DATA])


async def test_equal_uploads_at_once_are_kept_once(blobs: BlobStore, member: Member, tmp_path: Path) -> None:
    [image_id] = set(await asyncio.gather(*(keep(blobs) for _ in range(20))))
    assert await read(blobs, image_id) == DATA
    assert member.kept(tmp_path) == [DATA]


async def test_an_upload_mends_what_is_damaged(blobs: BlobStore, member: Member, tmp_path: Path) -> None:
    image_id = await keep(blobs)
    member.damage(tmp_path, image_id, lambda _: b"damaged")
    assert await keep(blobs) == image_id
    assert await read(blobs, image_id) == DATA


async def test_a_reader_goes_on_through_an_equal_upload(blobs: BlobStore) -> None:
    image_id = await keep(blobs)
    reading = blobs.read(image_id)
    first = await anext(reading)
    await keep(blobs)
    assert first + b"".join([chunk async for chunk in reading]) == DATA


@pytest.mark.parametrize("offset", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 600_000])
async def test_a_download_starts_at_its_offset(blobs: BlobStore, offset: int) -> None:
    assert await read(blobs, await keep(blobs), offset) == DATA[offset:]


@pytest.mark.parametrize("offset", [len(DATA), len(DATA) + 1, 10**12])
async def test_there_is_nothing_from_the_end_on(blobs: BlobStore, offset: int) -> None:
    assert await read(blobs, await keep(blobs), offset) == b""


def test_every_offset_and_chunk_size_gives_the_same_bytes(blobs: BlobStore) -> None:
    data = b"0123456789"
    image_id = asyncio.run(keep(blobs, data))

    @given(offset=st.integers(0, 12), chunk_bytes=st.integers(1, 12))
    def same(offset: int, chunk_bytes: int) -> None:
        assert asyncio.run(read(blobs, image_id, offset, chunk_bytes)) == data[offset:]

    same()


def flipped(at: int) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[at] ^= 1
        return bytes(changed)

    return flip


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "a flipped first bit": flipped(0),
    "a flipped last bit": flipped(-1),
    "cut short": lambda data: data[:-1],
    "cut before the last chunk": lambda data: data[:CHUNK_BYTES],
    "empty": lambda data: b"",
    "grown": lambda data: data + b"x",
    "gone": lambda data: None,
}

EACH_DAMAGE = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@EACH_DAMAGE
@pytest.mark.parametrize("offset", [0, 300_000, len(DATA)])
async def test_damage_is_told_before_the_last_chunk(
    blobs: BlobStore,
    member: Member,
    tmp_path: Path,
    damage: Callable[[bytes], bytes | None],
    offset: int,
) -> None:
    """F83: nobody who counts the bytes can take damaged ones for whole ones."""
    image_id = await keep(blobs)
    member.damage(tmp_path, image_id, damage)
    received = bytearray()

    async def receive() -> None:
        async for chunk in blobs.read(image_id, offset):
            received.extend(chunk)

    with pytest.raises(Refusal) as refused:
        await receive()
    assert refused.value.reason is Reason.IMAGE_CORRUPT
    assert len(received) < max(len(DATA) - offset, 1)


NO_IDS = ["", "sha256:", "sha256:" + "0" * 63, "sha256:../" + "0" * 61, "x"]


@pytest.mark.parametrize("image_id", NO_IDS)
async def test_what_is_no_id_finds_nothing(blobs: BlobStore, image_id: str) -> None:
    with pytest.raises(Refusal) as refused:
        await read(blobs, image_id)
    assert refused.value.reason is Reason.IMAGE_NOT_FOUND
    with pytest.raises(Refusal) as refused:
        async with blobs.file(image_id):
            pass
    assert refused.value.reason is Reason.IMAGE_NOT_FOUND


@EACH_SIZE
async def test_a_file_is_lent_with_the_bytes(
    blobs: BlobStore, member: Member, tmp_path: Path, data: bytes
) -> None:
    image_id = await keep(blobs, data)
    async with blobs.file(image_id) as path:
        assert path.read_bytes() == data
    assert member.kept(tmp_path) == [data]


@EACH_DAMAGE
async def test_no_damaged_file_is_lent(
    blobs: BlobStore, member: Member, tmp_path: Path, damage: Callable[[bytes], bytes | None]
) -> None:
    image_id = await keep(blobs)
    member.damage(tmp_path, image_id, damage)
    with pytest.raises(Refusal) as refused:
        async with blobs.file(image_id):
            pytest.fail("it was lent")
    assert refused.value.reason is Reason.IMAGE_CORRUPT


# Sweeping


async def test_age_is_that_of_the_last_commit(blobs: BlobStore, clock: HandClock) -> None:
    old, renewed = await keep(blobs, b"old"), await keep(blobs, b"renewed")
    clock.time += SECOND
    await keep(blobs, b"renewed")
    assert await older_than(blobs, NOW) == set()
    assert await older_than(blobs, NOW + SECOND) == {old}
    assert await older_than(blobs, NOW + 2 * SECOND) == {old, renewed}


async def test_only_what_is_old_and_named_is_removed(
    blobs: BlobStore, member: Member, tmp_path: Path, clock: HandClock
) -> None:
    """Bytes that were committed again since stay: a row may be about to speak of them (F4)."""
    old, renewed, _spared = [await keep(blobs, data) for data in (b"old", b"renewed", b"spared")]
    clock.time += SECOND
    await keep(blobs, b"renewed")
    nothing = f"sha256:{'0' * 64}"
    assert await blobs.remove([old, renewed, nothing], older_than=NOW + SECOND) == [old]
    assert sorted(member.kept(tmp_path)) == [b"renewed", b"spared"]
    with pytest.raises(Refusal) as refused:
        await read(blobs, old)
    assert refused.value.reason is Reason.IMAGE_CORRUPT
    assert await blobs.remove([old], older_than=NOW + SECOND) == []


async def test_what_is_erased_is_gone_whatever_its_age(
    blobs: BlobStore, member: Member, tmp_path: Path
) -> None:
    """But for what must be spared; what is not there is as gone as the rest."""
    gone, spared = await keep(blobs), await keep(blobs, SMALL)
    nothing = f"sha256:{0:064x}"
    erased = await blobs.erase([gone, spared, nothing], spare=spared.__eq__)
    assert sorted(erased) == sorted([gone, nothing])
    assert member.kept(tmp_path) == [SMALL]
    assert await keep(blobs) == gone
    assert await read(blobs, gone) == DATA


async def test_who_commits_while_it_is_erased_keeps_it(blobs: BlobStore) -> None:
    """Asking whether to spare it and removing it are one step: the commit comes before it or after it."""
    image_id = await keep(blobs)
    committing = Event()

    async def commit_again() -> None:
        async with blobs.stage(pieces(DATA)) as staged:
            committing.set()
            await blobs.commit(staged)

    for _ in range(20):
        committing.clear()
        await asyncio.gather(commit_again(), blobs.erase([image_id], spare=lambda _: committing.is_set()))
        assert await read(blobs, image_id) == DATA


async def test_what_was_removed_can_be_stored_again(blobs: BlobStore, clock: HandClock) -> None:
    image_id = await keep(blobs)
    await blobs.remove([image_id], older_than=NOW + SECOND)
    assert await keep(blobs) == image_id
    assert await read(blobs, image_id) == DATA


async def test_commits_beside_the_sweep_of_equal_bytes_stay(blobs: BlobStore, clock: HandClock) -> None:
    """F4: whatever the order, who was told that the bytes are kept finds them."""
    await keep(blobs)
    clock.time += SECOND
    for _ in range(20):
        image_id, _ = await asyncio.gather(
            keep(blobs), blobs.remove([f"sha256:{hashlib.sha256(DATA).hexdigest()}"], older_than=NOW + SECOND)
        )
        assert await read(blobs, image_id) == DATA


async def test_batches_suit_one_query(blobs: BlobStore) -> None:
    ids = {await keep(blobs, str(number).encode()) for number in range(40)}
    batches = [batch async for batch in blobs.older_than(NOW + SECOND)]
    assert sorted(image_id for batch in batches for image_id in batch) == sorted(ids)
    assert all(0 < len(batch) <= 500 for batch in batches)


def test_a_store_knows_that_its_place_was_taken_away(
    member: Member, tmp_path: Path, clock: HandClock
) -> None:
    """F28: gone, or another one that looks the same."""
    blobs = member.make(tmp_path / "images", clock)
    blobs.prepare()
    assert blobs.lost() == ""
    (tmp_path / "images").rename(tmp_path / "moved")
    assert blobs.lost()
    member.make(tmp_path / "images", clock).prepare()
    assert blobs.lost()


async def test_pictures_that_come_and_go_are_no_loss(blobs: BlobStore, clock: HandClock) -> None:
    """The control."""
    image_id = await keep(blobs)
    clock.time += SECOND
    assert await blobs.remove([image_id], older_than=clock.time) == [image_id]
    assert blobs.lost() == ""
