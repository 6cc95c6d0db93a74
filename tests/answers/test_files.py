"""Places are ready before the call, within what the disk may lose; what a start finds and what is kept."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.answers import blanks, disk_calls, files, kept, layout
from imageedit_server.answers.files import Answers
from imageedit_server.answers.reading import read_file, stored_in
from imageedit_server.answers.room import NoPlace
from imageedit_server.outbound.answers import Ended
from tests.answers.conftest import StillClock, asked, files_in, remove
from tests.answers.test_writing import SMALL, FailingDisk, disk, rounds, write

__all__ = ["disk"]

MIB = 1024 * 1024


async def opened(folder: Path, *, min_free_bytes: int = 1, version: str = "1.0") -> Answers:
    answers = Answers(folder, StillClock(), min_free_bytes=min_free_bytes, version=version)
    await answers.open()
    return answers


async def answered(answers: Answers, body: bytes = SMALL, task_id: str = "task-1") -> Path:
    """Write an answer that nobody acts on; return its file."""
    place = await answers.reserve(asked(task_id), 1000)
    await write(place, body)
    await place.save()
    return place.path


async def test_blanks_are_made_in_batches_with_one_fsync_each(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(disk_calls, "sync_folder", synced.append)
    answers = await opened(folder)
    assert len(files_in(folder)) == blanks.AT_ONCE
    for _ in range(blanks.AT_ONCE + 1):
        await answers.reserve(asked(), 1000)
    assert synced.count(folder) in (2, 3)
    assert folder.parent in synced  # where its own name stands
    await answers.aclose()


async def test_blanks_are_gone_with_the_server_and_answers_are_not(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    answers = await opened(folder)
    path = await answered(answers)
    await answers.aclose()
    assert files_in(folder) == [path]
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_full_table_of_descriptors_is_met_before_the_call(
    answers: Answers, disk: FailingDisk
) -> None:
    disk.fail("create", errno.EMFILE)
    for _ in range(blanks.AT_ONCE):
        await answers.reserve(asked(), 1000)
    with pytest.raises(NoPlace):
        await answers.reserve(asked(), 1000)
    disk.mend()
    await answers.reserve(asked(), 1000)


async def test_some_blanks_are_better_than_none(folder: Path, disk: FailingDisk) -> None:
    disk.fail("create", errno.EMFILE, after=3)
    answers = await opened(folder)
    for _ in range(3):
        await answers.reserve(asked(), 1000)
    with pytest.raises(NoPlace):
        await answers.reserve(asked(), 1000)
    await answers.aclose()


async def test_a_blank_whose_name_is_not_durable_is_none(folder: Path, disk: FailingDisk) -> None:
    disk.fail("sync_folder", errno.EIO)
    answers = await opened(folder)
    with pytest.raises(NoPlace):
        await answers.reserve(asked(), 1000)
    assert files_in(folder) == []
    await answers.aclose()


async def test_a_folder_that_is_gone_is_made_again(folder: Path, disk: FailingDisk) -> None:
    disk.fail("create", errno.EMFILE, after=1)
    answers = await opened(folder)
    await answers.reserve(asked(), 1000)
    disk.mend()
    remove(folder)
    place = await answers.reserve(asked(), 1000)
    assert place.path in files_in(folder)
    await answers.aclose()


@pytest.mark.parametrize("failing", ["write_at", "set_aside", "free_bytes"])
async def test_a_place_that_cannot_be_written_is_none(
    answers: Answers, disk: FailingDisk, folder: Path, failing: str
) -> None:
    disk.fail(failing, errno.ENOSPC, times=1)
    with pytest.raises(NoPlace):
        await answers.reserve(asked(), 1000)
    await answers.reserve(asked(), 1000)


async def test_room_is_set_aside_without_length(answers: Answers) -> None:
    place = await answers.reserve(asked(), 4 * MIB)
    found = place.path.stat()
    assert found.st_size < layout.HEAD_AT
    assert found.st_blocks * 512 >= 4 * MIB or not disk_calls.set_aside(place.blank.descriptor, 4 * MIB)


async def test_room_that_was_needed_once_is_set_aside_ahead(
    answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, set_aside = len(files_in(folder)), 0

    def count(descriptor: int, size_bytes: int) -> bool:
        nonlocal set_aside
        set_aside += 1
        return True

    monkeypatch.setattr(disk_calls, "set_aside", count)
    for _ in range(3 * blanks.AT_ONCE):
        await answers.reserve(asked(), MIB)
    place = await answers.reserve(asked(), 1000)
    assert place.blank.taken.size_bytes == layout.BODY_AT + MIB
    assert set_aside <= len(files_in(folder)) <= made + 4 * blanks.AT_ONCE


async def test_more_calls_at_once_than_files_are_made_at_once_have_one_each(answers: Answers) -> None:
    """All wait for the same files, and most for the next."""
    places = await asyncio.gather(*(answers.reserve(asked(), 1000) for _ in range(4 * blanks.AT_ONCE)))
    assert len({place.blank.path for place in places}) == 4 * blanks.AT_ONCE


async def test_room_that_can_only_be_promised_is_not_taken_ahead(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may be full by the time of the call."""
    free = 100 * MIB
    monkeypatch.setattr(disk_calls, "set_aside", lambda descriptor, size_bytes: False)
    monkeypatch.setattr(disk_calls, "free_bytes", lambda descriptor: free)
    answers = await opened(folder)
    for _ in range(blanks.AT_ONCE + 1):
        answers.forget(await answers.reserve(asked(), MIB))
    free = 0
    with pytest.raises(NoPlace):
        await answers.reserve(asked(), MIB)
    await answers.aclose()


@pytest.mark.parametrize("can_set_aside", [True, False])
async def test_all_places_together_leave_what_must_stay_free(
    folder: Path, monkeypatch: pytest.MonkeyPatch, can_set_aside: bool
) -> None:
    """Where the file system cannot set room aside, it is counted."""
    disk_bytes, taken = 100 * MIB, 0

    def set_aside(descriptor: int, size_bytes: int) -> bool:
        nonlocal taken
        taken += size_bytes if can_set_aside else 0
        return can_set_aside

    monkeypatch.setattr(disk_calls, "free_bytes", lambda descriptor: disk_bytes - taken)
    monkeypatch.setattr(disk_calls, "set_aside", set_aside)
    answers = await opened(folder, min_free_bytes=50 * MIB)
    places = [await answers.reserve(asked(), 10 * MIB) for _ in range(4)]
    with pytest.raises(NoPlace):
        await answers.reserve(asked(), 10 * MIB)
    taken -= 10 * MIB if can_set_aside else 0
    monkeypatch.setattr(files, "REMOVE_SECONDS", 0)
    answers.forget(places.pop())
    await rounds(3)
    await answers.reserve(asked(), 9 * MIB)
    await answers.aclose()


async def test_a_start_finds_what_nobody_acted_on_the_oldest_call_first(folder: Path) -> None:
    answers = await opened(folder)
    first, second = await answered(answers, b"1"), await answered(answers, b"2", "task-2")
    await answers.reserve(asked("never answered"), 1000)
    acted = await answers.reserve(asked("acted on"), 1000)
    await write(acted, SMALL)
    answers.forget(acted)
    await answers.aclose()
    again = Answers(folder, StillClock(), min_free_bytes=1, version="1.0")
    found = await again.open()
    assert {each.path for each in found} == {first, second}
    assert {(each.asked.task_id, each.size_bytes, each.tried) for each in found} == {
        ("task-1", 1, ""),
        ("task-2", 1, ""),
    }
    answer = await again.read(second)
    assert answer is not None
    assert (answer.body, answer.ended) == (b"2", Ended.WHOLE)
    again.drop(second)
    await again.aclose()
    assert files_in(folder) == [first]


@pytest.mark.parametrize(
    "call", [(Path, "mkdir"), (disk_calls, "sync_folder"), (Path, "iterdir"), (os, "open"), (Path, "unlink")]
)
async def test_no_call_that_fails_once_leaves_an_answer_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[object, str]
) -> None:
    """P31: what a start leaves out was paid for, and its task would end as unknown."""
    path = await answered(await opened(folder))
    (folder / ("0" * 32)).touch()
    real, failing = getattr(*call), 1

    def fails_once(*args: Any, **options: Any) -> Any:
        nonlocal failing
        if failing:
            failing -= 1
            raise OSError(errno.EIO, "not now")
        return real(*args, **options)

    again = Answers(folder, StillClock(), min_free_bytes=1, version="1.0")
    monkeypatch.setattr(*call, fails_once)
    assert path in [each.path for each in await again.open()]
    assert not failing
    await again.aclose()


def test_a_folder_that_was_not_made_yet_has_none(tmp_path: Path) -> None:
    """The sweep may look before the engine has opened it."""
    assert list(stored_in(tmp_path / "answers")) == []


async def test_a_file_is_never_used_twice(folder: Path) -> None:
    """The rest of another tenant's answer would stand behind a shorter one."""
    answers = await opened(folder)
    inodes = set()
    for number in range(40):
        place = await answers.reserve(asked(), 1000)
        await write(place, bytes(40 - number))
        inodes.add(place.path)
        answers.forget(place)
    assert len(inodes) == 40
    await answers.aclose()


async def test_kept_answers_say_which_version_could_not_read_them(folder: Path) -> None:
    answers = await opened(folder)
    place = await answers.reserve(asked(), 4 * MIB)
    await write(place, SMALL)
    await place.save()
    path, gone = await answers.keep_place(place)
    assert gone == []
    await answers.aclose()
    assert path.stat().st_blocks * 512 < MIB  # what was set aside is free again
    newer = Answers(folder, StillClock(), min_free_bytes=1, version="2.0.dev3+local")
    assert [each.tried for each in await newer.open()] == ["1.0"]
    path, _ = await newer.keep(path)
    assert [each.tried for each in stored_in(folder, clean=False)] == ["2.0.dev3+local"]
    answer = await newer.read(path)
    assert answer is not None
    assert answer.body == SMALL
    await newer.aclose()


async def test_no_more_is_kept_of_an_answer_than_a_picture_may_have(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_BODY_BYTES", 500)
    path, _ = await answers.keep(await answered(answers))
    answer = read_file(path)
    assert answer is not None
    assert (answer.body, answer.ended) == (SMALL[:500], Ended.LOST)


async def test_the_oldest_kept_answers_go_when_all_take_too_much(
    answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kept, "BUDGET_BYTES", 3 * (layout.BODY_AT + len(SMALL)))
    for number in range(3):
        path, gone = await answers.keep(await answered(answers, task_id=f"task-{number}"))
        os.utime(path, (number, number))
        assert gone == []
    _, gone = await answers.keep(await answered(answers, task_id="task-3"))
    assert [each.task_id for each in gone] == ["task-0"]
    assert sorted(each.asked.task_id for each in stored_in(folder) if each.tried) == [
        "task-1",
        "task-2",
        "task-3",
    ]
    assert "kept" in caplog.text


async def test_what_cannot_be_kept_durably_is_not_lost(
    answers: Answers, disk: FailingDisk, folder: Path
) -> None:
    path = await answered(answers)
    disk.fail("sync_folder", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output"):
        await answers.keep(path)
    assert len(list(stored_in(folder))) == 1
