"""What the model of a disk keeps and loses: it decides what the other tests prove."""

import random
from collections import Counter
from itertools import count, takewhile
from pathlib import Path

import pytest

from tests.powerloss.disk import KEEPS, SECTOR_BYTES, Disk, files_of
from tests.powerloss.journal import Journal, Op, counted, read

SECTORS = 64


class Story:
    """Writes a journal, and shows the disk that it leaves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder / "journal")
        self._numbers = count()

    def did(self, op: Op, path: str, number: int = 0, data: bytes = b"", other: str = "") -> None:
        self._journal.append(op, path, number, data, other)

    def wrote(self, path: str, data: bytes, offset: int = 0) -> None:
        self.did(Op.WRITE, path, offset, data)

    def synced(self, path: str, began: int | None = None) -> None:
        self.did(Op.SYNC, path, self.size() if began is None else began)

    def size(self) -> int:
        return self._journal.size()

    def counted(self) -> Counter[tuple[Op, str]]:
        return counted(read(self._folder / "journal"))

    def after(self, keep: float, seed: int = 0) -> dict[str, bytes]:
        disk = Disk()
        disk.replay(read(self._folder / "journal"))
        folder = self._folder / f"disk-{next(self._numbers)}"
        disk.fail(folder, keep, random.Random(seed))
        return files_of(folder)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """An empty one."""
    return Story(tmp_path)


@pytest.mark.parametrize("keep", KEEPS)
def test_what_was_synced_with_its_name_is_there(story: Story, keep: float) -> None:
    story.did(Op.MKDIR, "sub")
    story.did(Op.CREATE, "sub/a")
    story.wrote("sub/a", b"12345678")
    story.wrote("sub/a", b"xx", 3)
    story.did(Op.TRUNCATE, "sub/a", 6)
    for path in ("sub/a", "sub", ""):
        story.synced(path)
    assert story.after(keep) == {"sub/a": b"123xx6"}


def test_nothing_else_is_there_when_nothing_survives(story: Story) -> None:
    story.did(Op.CREATE, "a")
    story.synced("")
    story.wrote("a", b"1")
    story.did(Op.CREATE, "b")
    story.wrote("b", b"2")
    story.synced("b")  # its bytes are safe, its name is not
    assert story.after(0) == {"a": b""}


def test_a_sync_covers_what_was_done_before_it_began(story: Story) -> None:
    story.did(Op.CREATE, "a")
    story.synced("")
    story.wrote("a", b"early")
    began = story.size()
    story.wrote("a", b"late!")
    story.synced("a", began)
    assert story.after(0) == {"a": b"early"}


def test_a_new_name_needs_a_sync_of_its_own_directory(story: Story) -> None:
    story.did(Op.MKDIR, "to")
    story.did(Op.CREATE, "a")
    story.synced("")
    story.did(Op.RENAME, "a", other="to/b")
    assert story.after(0) == {"a": b""}
    story.synced("to")
    assert story.after(0) == {"a": b"", "to/b": b""}  # the end of the old name is not safe yet
    story.synced("")
    assert story.after(0) == {"to/b": b""}


def test_a_removal_needs_a_sync_too(story: Story) -> None:
    story.did(Op.CREATE, "a")
    story.synced("")
    story.did(Op.REMOVE, "a")
    assert story.after(0) == {"a": b""}
    assert {bool(story.after(0.5, seed)) for seed in range(1, 20)} == {True, False}
    story.synced("")
    assert story.after(0.25) == {}


def test_a_name_may_survive_without_its_bytes(story: Story) -> None:
    """Empty, full of zeros, or with whatever the disk held there."""
    story.did(Op.CREATE, "a")
    story.wrote("a", b"x" * SECTOR_BYTES)
    story.did(Op.MKDIR, "not the last thing written")
    seen = {story.after(0.5, seed).get("a") for seed in range(100)}
    assert {None, b"", b"x" * SECTOR_BYTES, bytes(SECTOR_BYTES)} < seen


def test_later_sectors_survive_without_earlier_ones(story: Story) -> None:
    old, new = b"-" * SECTOR_BYTES, b"x" * SECTOR_BYTES
    story.did(Op.CREATE, "a")
    story.wrote("a", old * SECTORS)
    for path in ("a", ""):
        story.synced(path)
    story.wrote("a", new * SECTORS)
    story.did(Op.MKDIR, "not the last thing written")
    contents = [story.after(0.5, seed)["a"] for seed in range(20)]
    assert all(set(sectors(content)) <= {old, new} for content in contents)
    assert any(new + old in content and old + new in content for content in contents)


def test_the_last_write_is_torn(story: Story) -> None:
    data = bytes(range(1, 256))
    story.did(Op.CREATE, "a")
    story.synced("")
    story.wrote("a", data)
    written = {common(data, story.after(1, seed)["a"]) for seed in range(20)}
    assert len(written) > 10


def common(one: bytes, other: bytes) -> int:
    """Return how many bytes are equal from the start."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def sectors(content: bytes) -> list[bytes]:
    """Cut a file as the disk does."""
    return [content[start : start + SECTOR_BYTES] for start in range(0, len(content), SECTOR_BYTES)]


def test_what_a_process_reads_is_everything(story: Story, tmp_path: Path) -> None:
    story.did(Op.MKDIR, "sub")
    story.did(Op.CREATE, "a")
    story.wrote("a", b"x", 2)
    story.did(Op.RENAME, "a", other="sub/b")
    disk = Disk()
    disk.replay(read(tmp_path / "journal"))
    assert disk.now() == {"sub/b": b"\0\0x"}


def test_what_was_written_at_once_counts_as_much_as_in_pieces(story: Story) -> None:
    """Of Python's file objects one recorder sees the pieces, the other takes them all."""
    story.did(Op.CREATE, "file")
    story.wrote("file", b"a")
    story.did(Op.MARK, "passed")
    story.wrote("log", b"x", 7)
    story.wrote("file", b"b", 1)
    story.wrote("log", b"x", 0)
    found = {(Op.CREATE, "file"): 1, (Op.WRITE, "file"): 1, (Op.WRITE, "log"): 2}
    assert story.counted() == found


def test_what_goes_on_after_a_sync_counts_by_itself(story: Story) -> None:
    story.wrote("file", b"a")
    story.synced("file")
    story.wrote("file", b"b", 1)
    story.wrote("file", b"a", 0)
    assert story.counted() == {(Op.WRITE, "file"): 3, (Op.SYNC, "file"): 1}
