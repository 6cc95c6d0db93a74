"""What a disk holds after the power failed: what was synced, and whatever else it happened to have written.

The model is the strictest that POSIX allows. A file's bytes are safe when that file was synced; a name is
safe when the directory that holds it was synced, a new name and the end of an old one each by itself.
Everything else survives or not, in any order, sector by sector.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.powerloss.journal import Op, Record

SECTOR_BYTES = 512
PAGE_BYTES = 4096
SHARED_MEMORY = "-shm"
SHARED_MEMORY_BYTES = 32 * 1024
KEEPS = (0.0, 0.5, 0.9, 1.0)
"""How much of what was not synced survives. With all of it, as after a kill, the last write is still torn."""


@dataclass(slots=True)
class Change:
    """A write at ``offset``, or with no data a cut at it. ``end`` is its place in the journal."""

    end: int
    offset: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        """Do it."""
        if self.data is None:
            _resize(content, self.offset)
        else:
            _put(content, self.offset, self.data)


@dataclass(slots=True)
class Loss:
    """How the power fails: the share of what was not synced that survives, and the dice."""

    keep: float
    dice: random.Random
    torn: Change | None = None

    def spares(self) -> bool:
        """Decide about one thing that was not synced."""
        return self.dice.random() < self.keep

    def pieces(self, change: Change) -> Iterator[tuple[int, bytes]]:
        """Yield offset and bytes of the parts of a write that survive."""
        assert change.data is not None
        if change is self.torn:
            if self.spares():
                yield change.offset, change.data[: self.dice.randrange(len(change.data) + 1)]
            return
        unit = self.dice.choice((SECTOR_BYTES, PAGE_BYTES, len(change.data) or 1))
        for start in range(0, len(change.data), unit):
            if self.spares():
                yield change.offset + start, change.data[start : start + unit]

    def gap(self, size: int) -> bytes:
        """Return what is read where a file grew and its data never arrived."""
        return self.dice.choice((bytes, self.dice.randbytes))(size)


@dataclass(slots=True)
class File:
    """A file's bytes: those that are safe, and the changes since."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def sync(self, covers: int) -> None:
        """Make safe what was done by then."""
        while self.pending and self.pending[0].end <= covers:
            self.pending.pop(0).apply(self.safe)

    def now(self) -> bytes:
        """Return what a process reads."""
        content = bytearray(self.safe)
        for change in self.pending:
            change.apply(content)
        return bytes(content)

    def after(self, loss: Loss) -> bytes:
        """Return what is left."""
        content = bytearray(self.safe)
        for change in self.pending:
            if change.data is not None:
                for offset, piece in loss.pieces(change):
                    content += loss.gap(max(offset - len(content), 0))
                    _put(content, offset, piece)
            elif loss.spares():
                change.apply(content)
        if self.pending and loss.spares():  # the size was written, the data was not
            content += loss.gap(max(len(self.now()) - len(content), 0))
        return bytes(content)


@dataclass(slots=True)
class Entry:
    """A name that came to be something else; None when it is gone."""

    end: int
    name: str
    node: "File | Directory | None"


@dataclass(slots=True)
class Directory:
    """Names: those that are safe, and the changes since."""

    safe: dict[str, "File | Directory"] = field(default_factory=dict)
    pending: list[Entry] = field(default_factory=list)

    def sync(self, covers: int) -> None:
        """Make safe what was done by then."""
        while self.pending and self.pending[0].end <= covers:
            _set(self.safe, self.pending.pop(0))

    def now(self) -> dict[str, "File | Directory"]:
        """Return the names that a process sees."""
        names = dict(self.safe)
        for entry in self.pending:
            _set(names, entry)
        return names

    def after(self, loss: Loss) -> dict[str, "File | Directory"]:
        """Return what is left."""
        names = dict(self.safe)
        for entry in self.pending:
            if loss.spares():
                _set(names, entry)
        return names


class Disk:
    """The folder that a journal is about, as of one of its records."""

    def __init__(self) -> None:
        self._root = Directory()
        self._last: Change | None = None

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        """Return a disk on which all that is in ``folder`` is safe."""
        disk = cls()
        disk.load(folder)
        return disk

    def load(self, folder: Path) -> None:
        """Take what is in ``folder`` for all that is there."""
        self._root = _loaded(folder)

    def replay(self, records: Iterable[Record]) -> None:
        """Do what the records say."""
        for record in records:
            self._do(record)

    def now(self) -> dict[str, bytes]:
        """Return the bytes of every file by its path, as a process reads them."""
        return dict(_files(self._root, ""))

    def fail(self, folder: Path, keep: float, dice: random.Random) -> None:
        """Write what is left when the power fails now; ``folder`` must not exist."""
        _write(self._root, folder, Loss(keep, dice, self._last))

    def _do(self, record: Record) -> None:
        self._last = None
        match record.op:
            case Op.CREATE:
                self._name(record, record.path, File())
            case Op.MKDIR:
                self._name(record, record.path, Directory())
            case Op.WRITE:
                self._last = Change(record.end, record.number, record.data)
                self._file(record.path).pending.append(self._last)
            case Op.TRUNCATE:
                self._file(record.path).pending.append(Change(record.end, record.number, None))
            case Op.RENAME:
                self._name(record, record.other, self._find(record.path))
                self._name(record, record.path, None)
            case Op.REMOVE:
                self._name(record, record.path, None)
            case Op.SYNC:
                self._find(record.path).sync(record.number)

    def _name(self, record: Record, path: str, node: File | Directory | None) -> None:
        parent, _, name = path.rpartition("/")
        directory = self._find(parent)
        assert isinstance(directory, Directory)
        directory.pending.append(Entry(record.end, name, node))

    def _file(self, path: str) -> File:
        file = self._find(path)
        assert isinstance(file, File)
        return file

    def _find(self, path: str) -> File | Directory:
        node: File | Directory = self._root
        for name in filter(None, path.split("/")):
            assert isinstance(node, Directory)
            node = node.now()[name]
        return node


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below ``folder`` that a journal is about."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(SHARED_MEMORY)
    }


def _loaded(folder: Path) -> Directory:
    return Directory(
        {
            path.name: _loaded(path) if path.is_dir() else File(bytearray(path.read_bytes()))
            for path in folder.iterdir()
            if not path.name.endswith(SHARED_MEMORY)
        }
    )


def _files(directory: Directory, prefix: str) -> Iterator[tuple[str, bytes]]:
    for name, node in directory.now().items():
        if isinstance(node, Directory):
            yield from _files(node, f"{prefix}{name}/")
        else:
            yield prefix + name, node.now()


def _write(directory: Directory, folder: Path, loss: Loss) -> None:
    folder.mkdir()
    for name, node in directory.after(loss).items():
        if isinstance(node, Directory):
            _write(node, folder / name, loss)
            continue
        (folder / name).write_bytes(node.after(loss))
        if name.endswith("-wal") and loss.keep:  # mapped and never synced: it must not matter what it holds
            shared = name.removesuffix("-wal") + SHARED_MEMORY
            (folder / shared).write_bytes(loss.dice.randbytes(SHARED_MEMORY_BYTES))


def _set(names: dict[str, File | Directory], entry: Entry) -> None:
    if entry.node is None:
        names.pop(entry.name, None)
    else:
        names[entry.name] = entry.node


def _put(content: bytearray, offset: int, data: bytes) -> None:
    _resize(content, max(len(content), offset))
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content += bytes(size - len(content))
