"""The embedded database: one SQLite file, one connection that writes, readers beside it.

The connection that writes is also the only one that checkpoints, which removes the trigger of SQLite's
WAL-reset race (fixed in 3.51.3).
"""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, update
from sqlalchemy.exc import DBAPIError

from imageedit_server.core.change import Publisher, Unheard
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.runtime.signals import Signal
from imageedit_server.runtime.standing import FilesLost, lost
from imageedit_server.store.database import StoreRefused
from imageedit_server.store.sqlite.errors import BUSY, busy, for_caller, is_untrusted, name_of
from imageedit_server.store.sqlite.file import (
    DATABASE_NAME,
    LOCK_NAME,
    WAL_LIMIT_BYTES,
    driver,
    hold_file,
    log_kept,
    open_reader,
    open_writer,
    take_lock,
)
from imageedit_server.store.sqlite.group_commit import GroupCommit
from imageedit_server.store.states import IS_RUNNING
from imageedit_server.store.tables import TASK
from imageedit_server.telemetry.metrics import STORE_WAITING, WAL_BYTES

P = ParamSpec("P")
T = TypeVar("T")

MAX_WAITING = 1000
READERS = 4
ROOM_BYTES = 256 * 1024
ROOM_SECONDS = 1.0
CUT_SECONDS = 0.05
"""Between two tries to cut the write-ahead log while somebody reads it."""

_log = logging.getLogger(__name__)

LOOKING = Signal()
"""With the connection that looks the whole file over, before it does."""


class SqliteDatabase:
    """A ``Database`` in one file of ``folder``, made when missing; keeps other servers out of the folder.

    ``publisher`` is handed what changes. A failed fsync is never tried again: ``broken`` is done then (F22).
    So it is when one of the files is not there any more that were opened, or another is in its place (F28).
    ``synchronous`` is anything but FULL
    only where a test shows what FULL is for.
    """

    def __init__(
        self, folder: Path, *, publisher: Publisher | None = None, synchronous: str = "FULL"
    ) -> None:
        self._path = folder / DATABASE_NAME
        self._lock_path = folder / LOCK_NAME
        self._publisher = publisher or Unheard()
        self._synchronous = synchronous
        self._readers = threading.local()
        self._reader_connections: list[Connection] = []
        self._waiting_for_room: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the lock, check the file, start the writer. Raises ``StoreRefused``."""
        self._loop = asyncio.get_running_loop()
        self.broken: asyncio.Future[BaseException] = self._loop.create_future()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = take_lock(self._lock_path)
        except OSError as error:
            raise StoreRefused(f"{self._path.parent} cannot hold the data: {error.strerror}") from None
        try:
            self._file = hold_file(self._path)
        except BaseException:
            os.close(self._lock)
            raise
        try:
            with log_kept(self._file, self._path):
                self._writer = await asyncio.to_thread(open_writer, self._path, self._synchronous)
                self._loop_reader = await asyncio.to_thread(self._first_reader)
        except BaseException:
            self._let_go()
            raise
        self._standing = self._look_at_files()
        driver(self._loop_reader).execute("PRAGMA busy_timeout = 0")  # nobody waits on the loop
        self._reader_connections.append(self._loop_reader)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._commits = GroupCommit(
            self._writer, publisher=self._publisher, distrust=self._distrust, lost=self.lost
        )
        STORE_WAITING.set_function(lambda: self._commits.waiting)
        WAL_BYTES.set_function(self._wal_bytes)

    def _first_reader(self) -> Connection:
        try:
            return open_reader(self._path, self._synchronous)
        except BaseException:
            self._writer.close()  # before its file: see ``hold_file``
            raise

    async def close(self) -> None:
        """Commit what waits, close every connection and let go of the lock."""
        if self._waiting_for_room:
            self._waiting_for_room.cancel()
        await self._commits.close()
        self._pool.shutdown()
        for connection in (*self._reader_connections, self._writer):
            connection.close()
        self._let_go()

    def _let_go(self) -> None:
        os.close(self._file)  # after every connection
        os.close(self._lock)

    def _look_at_files(self) -> dict[Path, os.stat_result]:
        names = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
        files = [self._path.with_name(name) for name in names]
        return {path: path.stat() for path in (*files, self._lock_path, self._path.parent)}

    def lost(self) -> str:
        found = (lost(path, before) for path, before in self._standing.items())
        return next(filter(None, found), "")

    def place(self) -> int:
        """Return the inode of the lock: whoever copies the folder makes another file of it."""
        return os.fstat(self._lock).st_ino

    async def recover(self) -> None:
        """Forget every lease: the lock on the file proves the former owner dead (P7)."""
        await self.record(_forget_leases)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``unit`` in a transaction; refuse with STORE_BUSY when the writer cannot keep up (P29)."""
        self._refuse_when_lost()
        if self._commits.waiting >= MAX_WAITING:
            raise busy()
        return await self._submit(lambda connection: unit(connection, *args, **kwargs), patient=False)

    async def record(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``unit`` in a transaction, however long it has to wait for the writer."""
        return await self._submit(lambda connection: unit(connection, *args, **kwargs), patient=True)

    async def _submit(self, unit: Callable[[Connection], T], *, patient: bool) -> T:
        try:
            return await self._commits.submit(unit, patient=patient)
        except Refusal as refusal:
            if refusal.reason is Reason.STORAGE_FULL and not self._waiting_for_room:
                self._waiting_for_room = asyncio.create_task(self._wait_for_room(), name="wait for room")
            raise

    async def scrub(self) -> None:
        """Bring the write-ahead log into the file and cut it to nothing, when nobody reads it any more."""
        with self._own_errors():
            while True:
                if await self._commits.cut_log():
                    return
                await asyncio.sleep(CUT_SECONDS)

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``query`` on a connection that cannot write."""
        with self._own_errors():
            return await self._loop.run_in_executor(
                self._pool, lambda: ask(self._reader(), query, *args, **kwargs)
            )

    async def look_up(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a short ``query`` at once: a thread's way there and back takes several times as long."""
        with self._own_errors():
            try:
                return ask(self._loop_reader, query, *args, **kwargs)
            except (DBAPIError, sqlite3.Error) as error:
                if not name_of(error).startswith(BUSY):
                    raise
        return await self.read(query, *args, **kwargs)  # which may wait

    def _refuse_when_lost(self) -> None:
        """Reads too: what is stored in lost files may be seen there still, and must not be told as kept."""
        if self.broken.done() and isinstance(self.broken.result(), FilesLost):
            raise for_caller(self.broken.result())

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        self._refuse_when_lost()
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            if is_untrusted(error):
                self._distrust(error)
            raise for_caller(error) from None

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = open_reader(self._path, self._synchronous)
            self._readers.connection = connection
            self._reader_connections.append(connection)
        return connection

    async def look_over(self) -> None:
        """Read the whole file beside everything else; ``broken`` is done where it is damaged (F23)."""
        opened: list[sqlite3.Connection] = []
        try:
            damage = await asyncio.to_thread(_damage, self._path, opened)
        finally:
            for connection in opened:  # whoever is cancelled does not wait for the rest of the file
                with suppress(sqlite3.ProgrammingError):  # it is closed
                    connection.interrupt()
        if damage:
            self._distrust(sqlite3.DatabaseError(f"the database is damaged: {damage}"))

    def trouble(self) -> str:
        if self.broken.done():
            return "the store can no longer be trusted"
        return "the disk is full" if self._waiting_for_room else ""

    def alarm(self) -> str:
        """Say that the write-ahead log is too long, when it is: it cannot be cut back while it is read."""
        size = self._wal_bytes()
        return (
            f"the write-ahead log has {size} bytes; a read lasts too long" if size > WAL_LIMIT_BYTES else ""
        )

    async def _wait_for_room(self) -> None:
        """Take some room and give it back, again and again until there is some (F19)."""
        while True:
            await asyncio.sleep(ROOM_SECONDS)
            with suppress(Refusal):
                await self.record(_take_room)
                break
        await self.record(_give_room_back)
        self._waiting_for_room = None

    def _wal_bytes(self) -> int:
        with suppress(OSError):
            return self._path.with_name(f"{self._path.name}-wal").stat().st_size
        return 0

    def _distrust(self, error: BaseException) -> None:
        _log.critical("the store can no longer be trusted: %s", name_of(error) or error)
        if not self.broken.done():
            self.broken.set_result(error)


def ask(
    connection: Connection,
    query: Callable[Concatenate[Connection, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run ``query`` so that all its statements see one moment."""
    cursor = driver(connection)
    cursor.execute("BEGIN")
    try:
        return query(connection, *args, **kwargs)
    finally:
        if cursor.in_transaction:  # else SQLite undid it, and an error of ours would hide its own
            cursor.execute("ROLLBACK")


def _damage(path: Path, opened: list[sqlite3.Connection]) -> str:
    """Return what SQLite finds wrong with a database, empty for nothing. Tells what it opened."""
    with closing(open_reader(path, "FULL")) as connection:
        opened.append(driver(connection))
        LOOKING(opened[0])
        try:
            found = str(opened[0].execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            if not is_untrusted(error):
                raise
            found = str(error)
    return "" if found == "ok" else found


def _take_room(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS room (filler BLOB)")
    connection.exec_driver_sql("INSERT INTO room VALUES (zeroblob(?))", (ROOM_BYTES,))


def _give_room_back(connection: Connection) -> None:
    connection.exec_driver_sql("DELETE FROM room")  # which counts as a change, as dropping a table does not
    connection.exec_driver_sql("DROP TABLE room")


def _forget_leases(connection: Connection) -> None:
    """Let go of every lease: the file lock proves that their owners are dead (P7)."""
    connection.execute(update(TASK).where(IS_RUNNING).values(lease_until=None))
