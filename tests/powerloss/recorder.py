"""Records what this process does to a folder, without a compiler: SQLite's files and Python's own.

SQLite's writes never pass Python. But its operating system layer (VFS) is a table of functions, and
``ctypes`` can put others into the table of the very library that ``sqlite3`` uses: the product's code and its
SQLite are the real ones, and every write, cut, sync and removal is seen, in the order in which it happened.
Of other files the calls of ``os`` are seen, writes at a place (``os.pwrite``) too; the bytes that a file
object wrote are taken when the file is synced or gets another name, which is all that a promise can rest on.

What this cannot see is an SQLite that was built to sync nothing, or a write that goes another way. ``shim.c``
sees both; and who records compares the replayed journal with the real folder afterwards.
"""

import _sqlite3
import ctypes
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.powerloss.journal import Journal, Op

OK = 0
REMOVED = " (deleted)"
"""How the kernel marks an open file that has no name any more."""


class NotRecordable(Exception):
    """This Python keeps its SQLite where it cannot be reached."""


class Recorder:
    """Puts what happens below ``folder`` into a journal, from ``install`` on and for the process's life."""

    def __init__(self, folder: Path, journal: Path) -> None:
        self._prefix = f"{folder.resolve()}/"
        self.journal = Journal(journal)
        self.lock = threading.RLock()

    def install(self) -> None:
        """Begin. Raises ``NotRecordable``."""
        _SqliteFiles(self).install()
        _PythonFiles(self).install()

    def inside(self, path: str | os.PathLike[str]) -> str | None:
        """Return a path relative to the folder, None when it is elsewhere."""
        whole = os.path.abspath(path)
        if f"{whole}/" == self._prefix:
            return ""
        return whole.removeprefix(self._prefix) if whole.startswith(self._prefix) else None

    def change(self, call: Callable[[], Any], op: Op | None, *record: Any, **more: Any) -> Any:
        """Make a call and append its record as one step. None and 0 are a success, an error has no record."""
        with self.lock:
            result = call()
            if op is not None and not result:
                self.journal.append(op, *record, **more)
            return result


def is_recordable() -> bool:
    """Say whether this Python keeps its SQLite where it can be reached, and names the files that are open."""
    try:
        _default_vfs()
    except NotRecordable:
        return False
    return os.path.isdir("/proc/self/fd")


# SQLite's files. The layouts are those of sqlite3.h, which SQLite keeps for ever.

_int, _pointer = ctypes.c_int, ctypes.c_void_p
_Open = ctypes.CFUNCTYPE(_int, _pointer, _pointer, _pointer, _int, _pointer)
_Delete = ctypes.CFUNCTYPE(_int, _pointer, _pointer, _int)
_Close = ctypes.CFUNCTYPE(_int, _pointer)
_Write = ctypes.CFUNCTYPE(_int, _pointer, _pointer, _int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(_int, _pointer, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(_int, _pointer, _int)
_OpenDirectory = ctypes.CFUNCTYPE(_int, _pointer, _pointer)
_GetCall = ctypes.CFUNCTYPE(_pointer, _pointer, ctypes.c_char_p)
_SetCall = ctypes.CFUNCTYPE(_int, _pointer, ctypes.c_char_p, _pointer)
_METHODS = (
    "xClose xRead xWrite xTruncate xSync xFileSize xLock xUnlock xCheckReservedLock xFileControl xSectorSize"
    " xDeviceCharacteristics xShmMap xShmLock xShmBarrier xShmUnmap xFetch xUnfetch"
)
_CALLS = (
    "pNext zName pAppData xOpen xDelete xAccess xFullPathname xDlOpen xDlError xDlSym xDlClose xRandomness"
    " xSleep xCurrentTime xGetLastError xCurrentTimeInt64 xSetSystemCall xGetSystemCall xNextSystemCall"
)


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``: what can be done with an open file, whose first member points here."""

    _fields_ = (("iVersion", _int), *((name, _pointer) for name in _METHODS.split()))


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``: what can be done with names."""

    _fields_ = (
        *((name, _int) for name in ("iVersion", "szOsFile", "mxPathname")),
        *((name, _pointer) for name in _CALLS.split()),
    )


class _SqliteFiles:
    """Stands between SQLite and its operating system layer."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._paths: dict[int, str] = {}
        self._tables: dict[int, _Methods] = {}
        self._thread = threading.local()

    def install(self) -> None:
        """Change the default layer. Raises ``NotRecordable``."""
        vfs = _default_vfs()
        self._watch_directories(vfs)
        opens, deletes = _Open(vfs.xOpen), _Delete(vfs.xDelete)

        def on_open(layer: int, name: int | None, file: int, flags: int, out: int | None) -> Any:
            path = self._path(name)
            if path is None:
                return opens(layer, name, file, flags, out)
            op = None if os.path.exists(_text(name)) else Op.CREATE
            result = self._recorder.change(lambda: opens(layer, name, file, flags, out), op, path)
            if result == OK:
                self._paths[file] = path
                methods = _pointer.from_address(file)
                methods.value = ctypes.addressof(self._watched(methods.value))
            return result

        def on_delete(layer: int, name: int, syncs: int) -> Any:
            path = self._path(name)
            if path is None:
                return deletes(layer, name, syncs)
            with self._recorder.lock:  # no other change gets between the removal and its sync
                result = self._recorder.change(lambda: deletes(layer, name, syncs), Op.REMOVE, path)
                self._note_directory(self._recorder.journal.size())
            return result

        vfs.xOpen, vfs.xDelete = _hold(_Open(on_open)), _hold(_Delete(on_delete))

    def _watched(self, address: int | None) -> _Methods:
        """Return a copy of a table of methods that records."""
        assert address is not None
        if address in self._tables:
            return self._tables[address]
        table = self._tables[address] = _Methods.from_buffer_copy(_Methods.from_address(address))
        recorder, paths = self._recorder, self._paths
        close, write = _Close(table.xClose), _Write(table.xWrite)
        truncate, sync = _Truncate(table.xTruncate), _Sync(table.xSync)

        def on_close(file: int) -> Any:
            del paths[file]
            return close(file)

        def on_write(file: int, data: int, size: int, offset: int) -> Any:
            content = ctypes.string_at(data, size)
            call = partial(write, file, data, size, offset)
            return recorder.change(call, Op.WRITE, paths[file], offset, content)

        def on_truncate(file: int, size: int) -> Any:
            return recorder.change(partial(truncate, file, size), Op.TRUNCATE, paths[file], size)

        def on_sync(file: int, flags: int) -> Any:
            covers = recorder.journal.size()
            result = sync(file, flags)
            if result == OK:
                recorder.journal.append(Op.SYNC, paths[file], covers)
                self._note_directory(covers)
            return result

        table.xClose, table.xWrite = _hold(_Close(on_close)), _hold(_Write(on_write))
        table.xTruncate, table.xSync = _hold(_Truncate(on_truncate)), _hold(_Sync(on_sync))
        return table

    def _watch_directories(self, vfs: _Vfs) -> None:
        """Learn of each directory that SQLite syncs: it opens one for nothing else."""
        layer = ctypes.addressof(vfs)
        opens = _OpenDirectory(_GetCall(vfs.xGetSystemCall)(layer, b"openDirectory"))

        def on_open_directory(name: int, descriptor: int) -> Any:
            self._thread.directory = self._path(name, parent=True)
            return opens(name, descriptor)

        _SetCall(vfs.xSetSystemCall)(layer, b"openDirectory", _hold(_OpenDirectory(on_open_directory)))

    def _note_directory(self, covers: int) -> None:
        directory = getattr(self._thread, "directory", None)
        if directory is not None:
            self._recorder.journal.append(Op.SYNC, directory, covers)
            self._thread.directory = None

    def _path(self, name: int | None, *, parent: bool = False) -> str | None:
        text = _text(name)
        return self._recorder.inside(os.path.dirname(text) if parent else text) if text else None


def _hold(function: Any) -> int | None:
    """Return the address of a function that C will call from now on."""
    _HELD.append(function)
    return ctypes.cast(function, _pointer).value


_HELD: list[object] = []
"""What C calls must not be collected."""


def _default_vfs() -> _Vfs:
    try:
        find = ctypes.CDLL(getattr(_sqlite3, "__file__", None)).sqlite3_vfs_find
    except (OSError, AttributeError):
        raise NotRecordable("this Python's SQLite cannot be reached from outside") from None
    find.restype = ctypes.POINTER(_Vfs)
    vfs: _Vfs = find(None).contents
    return vfs


def _text(name: int | None) -> str:
    return os.fsdecode(ctypes.string_at(name)) if name else ""


# Python's own files


class _PythonFiles:
    """Stands in the place of the functions of ``os`` that change files."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._written: dict[int, bytes] = {}  # by inode: what the journal holds of it

    def install(self) -> None:
        """Change ``os``."""
        os.open = self._opening(os.open)
        os.mkdir = self._naming(os.mkdir, Op.MKDIR)
        os.unlink = os.remove = self._naming(os.unlink, Op.REMOVE)
        os.rmdir = self._naming(os.rmdir, Op.REMOVE)
        os.rename = self._renaming(os.rename)
        os.replace = self._renaming(os.replace)
        os.fsync = self._syncing(os.fsync)
        os.fdatasync = self._syncing(os.fdatasync)
        os.pwrite = self._placing(os.pwrite)
        os.truncate = self._cutting(os.truncate)

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def on_open(name: Any, flags: int, *more: Any, **options: Any) -> Any:
            path = self._recorder.inside(name) if flags & os.O_CREAT else None
            if path is None or os.path.exists(name):
                return call(name, flags, *more, **options)
            with self._recorder.lock:
                descriptor = call(name, flags, *more, **options)
                self._recorder.journal.append(Op.CREATE, path)
                self._written[os.fstat(descriptor).st_ino] = b""
            return descriptor

        return on_open

    def _naming(self, call: Callable[..., None], op: Op) -> Callable[..., None]:
        def on_name(name: Any, *more: Any, **options: Any) -> None:
            path = self._recorder.inside(name)
            if path is None:
                call(name, *more, **options)
            else:
                self._recorder.change(partial(call, name, *more, **options), op, path)

        return on_name

    def _renaming(self, call: Callable[..., None]) -> Callable[..., None]:
        def on_rename(name: Any, other: Any, **options: Any) -> None:
            path, to = self._recorder.inside(name), self._recorder.inside(other)
            if path is None or to is None:
                call(name, other, **options)
                return
            with self._recorder.lock:
                self._take(name, path)
                self._recorder.change(partial(call, name, other, **options), Op.RENAME, path, other=to)

        return on_rename

    def _syncing(self, call: Callable[..., None]) -> Callable[..., None]:
        def on_sync(descriptor: int) -> None:
            path = self._path_of(descriptor)
            if path is None:
                call(descriptor)
                return
            with self._recorder.lock:
                self._take(f"/proc/self/fd/{descriptor}", path)
            covers = self._recorder.journal.size()
            call(descriptor)
            self._recorder.journal.append(Op.SYNC, path, covers)

        return on_sync

    def _placing(self, call: Callable[..., int]) -> Callable[..., int]:
        """Writes at a place are seen one by one: of such a file nothing has to be taken later."""

        def on_write(descriptor: int, data: Any, offset: int) -> int:
            with self._recorder.lock:
                path = self._path_of(descriptor)
                written = call(descriptor, data, offset)
                if path is not None:
                    self._written.pop(os.fstat(descriptor).st_ino, None)
                    content = bytes(memoryview(data)[:written])
                    self._recorder.journal.append(Op.WRITE, path, offset, content)
                return written

        return on_write

    def _cutting(self, call: Callable[..., None]) -> Callable[..., None]:
        def on_cut(name: Any, size: int) -> None:
            path = self._recorder.inside(name)
            if path is None:
                call(name, size)
            else:
                self._recorder.change(partial(call, name, size), Op.TRUNCATE, path, size)

        return on_cut

    def _path_of(self, descriptor: int) -> str | None:
        """Return where an open file is, None when it is elsewhere or has no name any more."""
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        return None if name.endswith(REMOVED) else self._recorder.inside(name)

    def _take(self, name: str, path: str) -> None:
        """Record what was written to a file since it was last looked at."""
        inode = os.stat(name).st_ino
        if inode in self._written:
            content = Path(name).read_bytes()
            known = self._written[inode]
            assert content.startswith(known), f"{path} was written elsewhere than at its end"
            if content != known:
                self._recorder.journal.append(Op.WRITE, path, len(known), content[len(known) :])
                self._written[inode] = content
