"""The embedded database: one SQLite file, one writer thread, readers beside it.

The writer is the only connection that writes and the only one that checkpoints, which also removes the
trigger of SQLite's WAL-reset race (fixed in 3.51.3). Units that wait are committed together (group commit):
each runs in a savepoint of its own, so that one that fails takes nothing with it.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import URL, Connection, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.store.feed import CHANGES, Change, Feed
from imageedit_server.store.tables import METADATA, SCHEMA_VERSION

P = ParamSpec("P")
T = TypeVar("T")
Unit = Callable[[Connection], Any]

APPLICATION_ID = 0x494D4745  # "IMGE"
MAX_GROUP = 256
MAX_WAITING = 1000
MAX_WAIT_SECONDS = 5.0
READERS = 4
BUSY_RETRY_SECONDS = 1.0
UNTRUSTED = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""What the names of errors begin with after which nothing that the file says can be trusted (F22, F23)."""
FULL = "SQLITE_FULL"

_log = logging.getLogger(__name__)


class StoreRefused(Exception):
    """The data cannot be served; the message is the whole sentence for the operator."""


@dataclass(slots=True)
class _Waiting:
    unit: Unit
    future: asyncio.Future[Any]
    since: float
    patient: bool
    result: Any = None
    error: BaseException | None = None
    changes: list[Change] = field(default_factory=list)


class SqliteDatabase:
    """A ``Database`` in one file of ``folder``, made when missing; keeps other servers out of the folder.

    A failed fsync is never tried again: ``broken`` is done then (F22). ``synchronous`` is anything but FULL
    only where a test shows what FULL is for.
    """

    def __init__(self, folder: Path, *, synchronous: str = "FULL") -> None:
        self._path = folder / "imageedit.sqlite3"
        self._lock_path = folder / "lock"
        self.feed = Feed()
        self._synchronous = synchronous
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting = 0
        self._fatal: BaseException | None = None
        self._readers = threading.local()
        self._reader_connections: list[Connection] = []

    async def open(self) -> None:
        """Take the lock, check the file, start the writer. Raises ``StoreRefused``."""
        self._loop = asyncio.get_running_loop()
        self.broken: asyncio.Future[BaseException] = self._loop.create_future()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _take_lock(self._lock_path)
        except OSError as error:
            raise StoreRefused(f"{self._path.parent} cannot hold the data: {error.strerror}") from None
        try:
            self._writer = await asyncio.to_thread(self._open_writer)
        except BaseException:
            os.close(self._lock)
            raise
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._thread = threading.Thread(target=self._write_groups, name="store-write", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what waits, close every connection and let go of the lock."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._pool.shutdown()
        for connection in (*self._reader_connections, self._writer):
            connection.close()
        os.close(self._lock)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``unit`` in a transaction; refuse with STORE_BUSY when the writer cannot keep up (P29)."""
        if self._waiting >= MAX_WAITING:
            raise _busy()
        return await self._submit(lambda connection: unit(connection, *args, **kwargs), patient=False)

    async def record(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``unit`` in a transaction, however long it has to wait for the writer."""
        return await self._submit(lambda connection: unit(connection, *args, **kwargs), patient=True)

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``query`` on a connection that cannot write. All its statements see one moment."""
        try:
            return await self._loop.run_in_executor(
                self._pool, self._read, lambda connection: query(connection, *args, **kwargs)
            )
        except DBAPIError as error:
            raise self._translate(error) from None

    async def _submit(self, unit: Callable[[Connection], T], *, patient: bool) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting += 1
        self._queue.put(_Waiting(unit, future, time.monotonic(), patient))
        return await future

    def _read(self, query: Callable[[Connection], T]) -> T:
        connection = self._reader()
        cursor = _driver(connection)
        cursor.execute("BEGIN")
        try:
            return query(connection)
        finally:
            cursor.execute("ROLLBACK")

    # The writer thread

    def _write_groups(self) -> None:
        while group := self._next_group():
            self._run_group(group)
            self._loop.call_soon_threadsafe(self._settle, group)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == MAX_GROUP:
                return group
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group
        if group:  # asked to stop, after what was waiting
            self._queue.put(None)
        return group

    def _run_group(self, group: Sequence[_Waiting]) -> None:
        try:
            if self._fatal is not None:  # a failed fsync is never tried again, nor anything after it
                raise self._fatal
            self._commit_together(group)
        except BaseException as error:  # noqa: BLE001  it goes to every caller of the group
            with suppress(sqlite3.Error):
                _driver(self._writer).execute("ROLLBACK")
            if _name(error) == FULL and len(group) > 1:  # one may have needed more room than the others
                for waiting in group:
                    self._run_group([waiting])
                return
            if _name(error).startswith(UNTRUSTED):
                self._fatal = error
            for waiting in group:
                waiting.error, waiting.changes = error, []

    def _commit_together(self, group: Sequence[_Waiting]) -> None:
        connection = self._writer
        cursor = _driver(connection)
        cursor.execute("BEGIN IMMEDIATE")
        for waiting in group:
            self._run_unit(waiting, connection, cursor)
        cursor.execute("COMMIT")

    def _run_unit(self, waiting: _Waiting, connection: Connection, cursor: sqlite3.Connection) -> None:
        if not waiting.patient and time.monotonic() - waiting.since > MAX_WAIT_SECONDS:
            waiting.error = _busy()
            return
        waiting.error, waiting.changes = None, []
        connection.info[CHANGES] = waiting.changes
        cursor.execute("SAVEPOINT unit")
        try:
            waiting.result = waiting.unit(connection)
        except Exception as error:
            if not cursor.in_transaction:  # SQLite undid everything, not only this unit
                raise
            if _name(error).startswith(UNTRUSTED):
                raise
            cursor.execute("ROLLBACK TO unit")
            waiting.error = error
            waiting.changes.clear()
        cursor.execute("RELEASE unit")

    def _settle(self, group: Sequence[_Waiting]) -> None:
        self._waiting -= len(group)
        for waiting in group:
            self._settle_one(waiting)
        changes = [change for waiting in group for change in waiting.changes]
        if changes:
            self.feed.publish(changes)

    def _settle_one(self, waiting: _Waiting) -> None:
        error = waiting.error and self._translate(waiting.error)
        if waiting.future.done():  # its caller went away
            return
        if error is None:
            waiting.future.set_result(waiting.result)
        else:
            waiting.future.set_exception(error)

    def _translate(self, error: BaseException) -> BaseException:
        name = _name(error)
        if name == FULL:
            return Refusal(Reason.STORAGE_FULL, "The server's disk is full; nothing was stored.")
        if name.startswith(UNTRUSTED):
            _log.critical("the store can no longer be trusted: %s", name)
            if not self.broken.done():
                self.broken.set_result(error)
        return error

    # Connections

    def _open_writer(self) -> Connection:
        connection = _connect(self._path, self._synchronous)
        cursor = _driver(connection)
        if cursor.execute("PRAGMA user_version").fetchone()[0] == 0:
            _create_schema(connection, cursor)
        _log.info("store opened: sqlite %s, schema %d", sqlite3.sqlite_version, SCHEMA_VERSION)
        return connection

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = _connect(self._path, self._synchronous)
            cursor = _driver(connection)
            cursor.execute("PRAGMA query_only = ON")
            cursor.execute("PRAGMA wal_autocheckpoint = 0")
            self._readers.connection = connection
            self._reader_connections.append(connection)
        return connection


def _name(error: BaseException) -> str:
    """Return what SQLite calls an error, empty for one that is not SQLite's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", "")


def _busy() -> Refusal:
    return Refusal(
        Reason.STORE_BUSY,
        "The server has more to store than it can at the moment; try again.",
        retry_after_seconds=BUSY_RETRY_SECONDS,
    )


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreRefused(
            f"another server is using {path.parent}; stop it or choose another data dir"
        ) from None
    return descriptor


def _driver(connection: Connection) -> sqlite3.Connection:
    """Return the sqlite3 connection below, for statements that are not about rows."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _connect(path: Path, synchronous: str) -> Connection:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # the writer says BEGIN and COMMIT itself
        connect_args={"check_same_thread": False, "timeout": MAX_WAIT_SECONDS, "cached_statements": 512},
        poolclass=NullPool,  # so that what is closed is closed
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        try:
            _check_ours(path, connection)  # first: the pragmas would change another program's file
            for pragma in (
                "journal_mode = WAL",
                f"synchronous = {synchronous}",
                "foreign_keys = ON",
                "trusted_schema = OFF",
            ):
                connection.execute(f"PRAGMA {pragma}")
            _check_pragmas(connection, synchronous)
        except BaseException:
            connection.close()
            raise

    try:
        return engine.connect()
    except DBAPIError as error:
        raise StoreRefused(f"{path} is not a database of this service: {error.orig}") from None


def _check_ours(path: Path, cursor: sqlite3.Connection) -> None:
    owner = cursor.execute("PRAGMA application_id").fetchone()[0]
    version = cursor.execute("PRAGMA user_version").fetchone()[0]
    empty = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not empty:
        raise StoreRefused(f"{path} belongs to another program; choose another data dir")
    if version > SCHEMA_VERSION:
        raise StoreRefused(
            f"{path} was written by a newer version (schema {version}, this server knows {SCHEMA_VERSION});"
            " run that version"
        )


def _check_pragmas(cursor: sqlite3.Connection, synchronous: str) -> None:
    journal = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    level = cursor.execute("PRAGMA synchronous").fetchone()[0]
    expected = {"FULL": 2, "NORMAL": 1, "OFF": 0}[synchronous]
    if journal != "wal" or level != expected:
        raise StoreRefused(
            f"the store needs WAL and synchronous {synchronous}, the file gives {journal} and {level}"
        )


def _create_schema(connection: Connection, cursor: sqlite3.Connection) -> None:
    cursor.execute("BEGIN IMMEDIATE")
    METADATA.create_all(connection)
    cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    cursor.execute("COMMIT")
