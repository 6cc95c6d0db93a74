"""The write journal: everything that a process did to the files below one folder, in order.

One file, written only at its end; where a record ends is its place in the order, so that the file's size is
"now", for everyone who sees it. ``shim.c`` writes the same bytes.
"""

import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_HEAD = struct.Struct("<BQIII")


class Op(IntEnum):
    """What was done; ``number`` and ``data`` of the record are given in brackets."""

    CREATE = 1  # a new, empty file
    MKDIR = 2
    WRITE = 3  # [offset, the bytes]
    TRUNCATE = 4  # [new size]
    RENAME = 5  # to ``other``
    REMOVE = 6  # a file or an empty directory
    SYNC = 7  # a file or a directory [the journal's size when the sync began: it covers no more]
    MARK = 8  # nothing; ``path`` says what the process passed


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was done. Paths are relative to the folder; the folder itself is empty."""

    op: Op
    path: str
    number: int = 0
    data: bytes = b""
    other: str = ""
    end: int = 0


class Journal:
    """Appends records to a file. Any thread may, and other processes beside it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        """Return where the next record begins."""
        return os.fstat(self._descriptor).st_size

    def append(self, op: Op, path: str, number: int = 0, data: bytes = b"", other: str = "") -> None:
        """Write a record, whole: another one is before or behind it."""
        first, second = os.fsencode(path), os.fsencode(other)
        head = _HEAD.pack(op, number, len(first), len(second), len(data))
        record = head + first + second + data
        assert os.write(self._descriptor, record) == len(record)


def read(path: Path) -> Iterator[Record]:
    """Yield every record in order."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            op, number, *lengths = _HEAD.unpack(head)
            first, second, data = [file.read(length) for length in lengths]
            yield Record(Op(op), os.fsdecode(first), number, data, os.fsdecode(second), file.tell())


def counted(records: Iterable[Record]) -> Counter[tuple[Op, str]]:
    """Count what was done to each path, whoever recorded it.

    A write that goes on where the last one ended counts as one with it: of Python's file objects one recorder
    takes all that was written since it last looked.
    """
    found: Counter[tuple[Op, str]] = Counter()
    ends: dict[str, int] = {}
    for each in records:
        end = ends.pop(each.path, None)
        if each.op is Op.WRITE:
            ends[each.path] = each.number + len(each.data)
        if each.op is not Op.MARK and not (each.op is Op.WRITE and end == each.number):
            found[each.op, each.path] += 1
    return found
