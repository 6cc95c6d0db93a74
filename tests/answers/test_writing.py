"""The call does not notice the disk: what cannot be written is tried again from memory, until it holds."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imageedit_server.answers import disk_calls, writing
from imageedit_server.answers.files import Answers
from imageedit_server.answers.reading import read_file
from imageedit_server.answers.writing import AT_ONCE_BYTES, PAUSES, Writing
from imageedit_server.outbound.answers import Answer, Ended
from tests.answers.conftest import ANSWERED, CALLED, StillClock, asked, files_in, mode, remove

HEADERS = {"content-type": "image/png"}
KEY = "sk-0123456789-0123456789"
SMALL = bytes(range(256)) * 8
LARGE = os.urandom(3 * AT_ONCE_BYTES + 77)


async def write(place: Writing, body: bytes, *, piece_bytes: int = 65_536, note: str = "") -> None:
    place.head(200, HEADERS)
    for start in range(0, len(body), piece_bytes):
        place.piece(body[start : start + piece_bytes])
    place.end(Ended.WHOLE, note)


def stored(place: Writing) -> Answer | None:
    return read_file(place.path)


def whole(body: bytes) -> Answer:
    return Answer(
        status=200,
        headers=HEADERS,
        body=body,
        ended=Ended.WHOLE,
        brief={"n": 2},
        call_time=CALLED,
        answer_time=ANSWERED,
    )


async def rounds(number: int) -> None:
    """Let the loop do what is due."""
    for _ in range(number):
        await asyncio.sleep(0)


class FailingDisk:
    """Calls of the operating system that fail for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.calls: list[str] = []

    def fail(self, name: str, code: int, *, times: int = 1_000_000, after: int = 0) -> None:
        call: Callable[..., Any] = getattr(disk_calls, name)
        left = [after, times]

        def failing(*args: Any) -> Any:
            self.calls.append(name)
            if left[0] > 0:
                left[0] -= 1
            elif left[1] > 0:
                left[1] -= 1
                raise OSError(code, os.strerror(code))
            return call(*args)

        self._patch.setattr(disk_calls, name, failing)

    def mend(self) -> None:
        self._patch.undo()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FailingDisk:
    return FailingDisk(monkeypatch)


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("piece_bytes", [1000, 65_536])
async def test_what_came_is_what_is_stored(answers: Answers, body: bytes, piece_bytes: int) -> None:
    place = await answers.reserve(asked(), 1000)
    await write(place, body, piece_bytes=piece_bytes)
    await place.save()
    assert stored(place) == whole(body)
    assert place.size_bytes == len(body)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 200_000), max_size=12), saves=st.booleans())
def test_pieces_of_any_size(tmp_path: Path, sizes: list[int], saves: bool) -> None:
    async def check() -> None:
        answers = Answers(tmp_path / "answers", StillClock(), min_free_bytes=1, version="1")
        await answers.open()
        place = await answers.reserve(asked(), 1000)
        place.head(200, HEADERS)
        for number, size in enumerate(sizes):
            place.piece(bytes([number]) * size)
            if saves:
                await asyncio.sleep(0)
        place.end(Ended.WHOLE, "")
        await place.save()
        body = b"".join(bytes([number]) * size for number, size in enumerate(sizes))
        assert stored(place) == whole(body)
        await answers.aclose()

    asyncio.run(check())


async def test_a_small_answer_is_in_the_file_at_once(answers: Answers) -> None:
    """So that the death of the process, at any moment, leaves what had come."""
    place = await answers.reserve(asked(), 1000)
    place.head(200, HEADERS)
    place.piece(SMALL)
    torn = stored(place)
    assert torn is not None
    assert (torn.ended, torn.body) == (Ended.LOST, SMALL)
    place.end(Ended.CUT, "The connection broke.")
    cut = stored(place)
    assert cut is not None
    assert (cut.ended, cut.body, cut.note) == (Ended.CUT, SMALL, "The connection broke.")


async def test_a_drip_behind_much_is_soon_in_the_file_too(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FLUSH_SECONDS", 0)
    place = await answers.reserve(asked(), 1000)
    place.head(200, HEADERS)
    for start in range(0, len(LARGE), 65_536):
        place.piece(LARGE[start : start + 65_536])
    await rounds(3)
    await answers.reserve(asked(), 1000)  # in the same thread, after it
    found = stored(place)
    assert found is not None
    assert found.body == LARGE


async def test_files_are_for_their_owner_alone(answers: Answers, folder: Path) -> None:
    await write(await answers.reserve(asked(), 1000), SMALL)
    assert mode(folder) == 0o700
    assert {mode(path) for path in files_in(folder)} == {0o600}


async def test_secrets_are_masked_in_head_and_body(answers: Answers) -> None:
    place = await answers.reserve(asked(), 1000, [KEY])
    place.head(401, {"x-said": KEY, "set-cookie": "a=b"})
    for piece in (b"<", KEY[:7].encode(), KEY[7:].encode(), b">", KEY[:5].encode()):
        place.piece(piece)
    place.end(Ended.WHOLE, "")
    await place.save()
    found = stored(place)
    assert found is not None
    assert found.body == b"<" + b"*" * len(KEY) + b">" + KEY[:5].encode()
    assert found.headers == {"x-said": "*" * len(KEY)}
    assert KEY.encode() not in place.path.read_bytes()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.ENOMEM, errno.EROFS, errno.ESTALE])
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_writes_that_fail_are_tried_again(
    answers: Answers, disk: FailingDisk, code: int, body: bytes
) -> None:
    place = await answers.reserve(asked(), 1000)
    disk.fail("write_at", code, times=4)
    await write(place, body)
    await place.save()
    assert stored(place) == whole(body)


async def test_what_is_not_written_is_tried_until_it_holds(
    answers: Answers, disk: FailingDisk, clock: StillClock
) -> None:
    place = await answers.reserve(asked(), 1000)
    disk.fail("write_at", errno.ENOSPC, times=3 + 7)  # while it comes, and then
    await write(place, SMALL)
    await place.save()
    assert clock.pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert stored(place) == whole(SMALL)


async def test_after_a_failed_fdatasync_all_is_written_to_another_file(
    answers: Answers, disk: FailingDisk
) -> None:
    """F22: the kernel may have dropped what it had taken, and says so once."""
    place = await answers.reserve(asked(), 1000)
    await write(place, LARGE)
    first = place.path
    disk.fail("sync_data", errno.EIO, times=1)
    await place.save()
    assert place.path != first
    assert not first.exists()
    assert stored(place) == whole(LARGE)


async def test_without_another_file_the_same_one_is_written_again(folder: Path, disk: FailingDisk) -> None:
    disk.fail("create", errno.EMFILE, after=1)
    answers = Answers(folder, StillClock(), min_free_bytes=1, version="1")
    await answers.open()
    place = await answers.reserve(asked(), 1000)
    await write(place, SMALL)
    disk.fail("sync_data", errno.EIO, times=1)
    disk.fail("write_at", errno.EIO, times=0)
    await place.save()
    assert disk.calls.count("write_at") == 4  # who asked, head, body, end
    assert stored(place) == whole(SMALL)
    await answers.aclose()


async def test_a_file_that_lost_its_name_is_none(answers: Answers, folder: Path) -> None:
    """Somebody removed the folder while the vendor worked."""
    place = await answers.reserve(asked(), 1000)
    place.head(200, HEADERS)
    remove(folder)
    place.piece(SMALL)
    place.end(Ended.WHOLE, "")
    await place.save()
    assert stored(place) == whole(SMALL)


async def test_what_nobody_needs_any_more_is_not_tried_again(folder: Path, disk: FailingDisk) -> None:
    answers = Answers(folder, StillClock(), min_free_bytes=1, version="1")
    await answers.open()
    place = await answers.reserve(asked(), 1000)
    disk.fail("write_at", errno.ENOSPC)
    await write(place, SMALL)
    answers.forget(place)
    await place.save()
    await answers.aclose()
    assert files_in(folder) == []


async def test_a_cancelled_save_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(folder, StillClock(), min_free_bytes=1, version="1")
    await answers.open()
    synced: list[int] = []
    monkeypatch.setattr(disk_calls, "sync_data", synced.append)
    place = await answers.reserve(asked(), 1000)
    await write(place, SMALL)
    saving = asyncio.create_task(place.save())
    await asyncio.sleep(0)
    saving.cancel()
    await answers.aclose()
    assert saving.cancelled()
    assert len(synced) == 1


async def test_it_is_written_and_synced_in_the_thread_for_answers(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    sync = disk_calls.sync_data

    def recorded(descriptor: int) -> None:
        names.append(threading.current_thread().name)
        sync(descriptor)

    monkeypatch.setattr(disk_calls, "sync_data", recorded)
    place = await answers.reserve(asked(), 1000)
    await write(place, LARGE)
    await place.save()
    assert names == ["answers_0"]
