"""The file of the embedded database: its lock, what may be opened, and the schema it is given."""

import fcntl
import logging
import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from imageedit_server.runtime.files import make_durable
from imageedit_server.store.database import StoreInUse, StoreRefused
from imageedit_server.store.dialect import DIALECT
from imageedit_server.store.migrations import SCHEMA_VERSION, note_schema
from imageedit_server.store.sqlite.dialect import SqliteDialect
from imageedit_server.store.sqlite.errors import READONLY, name_of
from imageedit_server.store.sqlite.migrating import migrate
from imageedit_server.store.sqlite.schema import create_schema
from imageedit_server.telemetry.metrics import SQLITE_OUTDATED, show_build

DATABASE_NAME = "imageedit.sqlite3"
LOCK_NAME = "lock"
APPLICATION_ID = 0x494D4745  # "IMGE"
LOCKED_BYTE = 1 << 62
"""The byte of the database file whose lock keeps other servers out. SQLite locks bytes near 1 GiB, and no
database grows beyond 2^48 of them."""
SHARED_BYTES = (0x40000002, 510)
"""Where each connection of SQLite's has a lock to read; who closes the last one locks all of it to write."""
WAL_MODE = b"\2\2"
WAL_MODE_AT = 18
MAX_WAIT_SECONDS = 5.0
"""How long another program's lock on the file is waited for (F21)."""

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""What the write-ahead log may grow to while somebody reads; it is cut back to this afterwards (F25)."""
WAL_RESET_FIXED = (3, 51, 3)

_log = logging.getLogger(__name__)


def take_lock(path: Path) -> int:
    """Return the descriptor of the lock that keeps other servers out. Raises ``StoreInUse``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _in_use(path) from None
    make_durable(path.parent)  # the database will remember this very file
    return descriptor


def hold_file(path: Path) -> int:
    """Return the descriptor of the database's own lock: it keeps other servers out though ``lock`` is gone.

    Makes the file when it is missing, for its owner alone; SQLite gives its other files the same mode. The
    lock belongs to the descriptor and ends with its process. Whoever closes it lets go of SQLite's own locks
    on the file too, which belong to the process: no connection may be open then. Raises ``StoreInUse`` and
    ``StoreRefused``.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreRefused(f"{path} cannot be written: {error.strerror}") from None
    try:
        with suppress(PermissionError):  # somebody else's, who let us in
            os.fchmod(descriptor, 0o600)
        _lock(descriptor, fcntl.F_WRLCK, LOCKED_BYTE, 1)
    except BlockingIOError:
        os.close(descriptor)
        raise _in_use(path) from None
    return descriptor


@contextmanager
def log_kept(descriptor: int, path: Path) -> Iterator[None]:
    """Keep the write-ahead log of the file that is held while connections are opened, also if that fails.

    Whoever closes the last connection brings the log into the file and removes it. Where the log's index
    could not be opened three times in a row, as without descriptors, and then can be, SQLite 3.40 removes it
    unread, with all that was committed. A lock beside its own keeps it from removing anything.
    """
    shares = _has_log_to_lose(descriptor, path)
    if shares:
        with suppress(BlockingIOError):  # another program has it for itself, and SQLite waits for that
            _lock(descriptor, fcntl.F_RDLCK, *SHARED_BYTES)
    try:
        yield
    finally:
        if shares:
            _lock(descriptor, fcntl.F_UNLCK, *SHARED_BYTES)


@contextmanager
def looked_at(path: Path) -> Iterator[None]:
    """Keep the write-ahead log where it is while somebody reads who is no server. Raises ``OSError``.

    As for ``hold_file``, every connection is to be closed within it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with log_kept(descriptor, path):
            yield
    finally:
        os.close(descriptor)


def _has_log_to_lose(descriptor: int, path: Path) -> bool:
    """What is not in this mode, or has a journal to roll back, SQLite must have for itself."""
    in_wal_mode = os.pread(descriptor, len(WAL_MODE), WAL_MODE_AT) == WAL_MODE
    log, journal = (path.with_name(f"{path.name}-{end}") for end in ("wal", "journal"))
    with suppress(FileNotFoundError):
        return in_wal_mode and log.stat().st_size > 0 and not journal.exists()
    return False


def _lock(descriptor: int, kind: int, first: int, count: int) -> None:
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is not None:  # Linux; elsewhere the file ``lock`` is all there is
        fcntl.fcntl(descriptor, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, first, count, 0))


def _in_use(path: Path) -> StoreInUse:
    return StoreInUse(
        f"server.data_dir: another server is using {path.parent}; stop it, or choose another folder with"
        " server.data_dir or --data-dir"
    )


def driver(connection: Connection) -> sqlite3.Connection:
    """Return the sqlite3 connection below, for statements that are not about rows."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def open_writer(path: Path, synchronous: str) -> Connection:
    """Open the connection that writes; give the file the schema of this server. Raises ``StoreRefused``.

    The file is there already: see ``hold_file``.
    """
    connection = open_connection(path, synchronous)
    cursor = driver(connection)
    try:
        cursor.execute("PRAGMA secure_delete = ON")  # what is deleted or moved is overwritten in its page
        cursor.execute("PRAGMA temp_store = MEMORY")  # else pages that a unit may undo go to files elsewhere
        schema = schema_of(cursor)
        if schema == 0:
            _fill(connection, cursor)
        else:
            migrate(connection, cursor, path, schema)
        _refuse_without_writes(path, cursor)
    except BaseException:
        connection.close()
        raise
    _show_version()
    return connection


def _refuse_without_writes(path: Path, cursor: sqlite3.Connection) -> None:
    """SQLite opens for reading alone what it cannot open otherwise, such as the index of the log."""
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if name_of(error).startswith(READONLY):
            raise StoreRefused(f"{path} cannot be written: {error}") from None
    else:
        cursor.execute("ROLLBACK")


def schema_of(cursor: sqlite3.Connection) -> int:
    """Return the number of the schema that a file has, 0 for none."""
    return int(cursor.execute("PRAGMA user_version").fetchone()[0])


def _show_version() -> None:
    """Say which SQLite this is. An older one is safe here, with one writer that alone checkpoints (F26)."""
    outdated = sqlite3.sqlite_version_info < WAL_RESET_FIXED
    show_build(sqlite=sqlite3.sqlite_version)
    SQLITE_OUTDATED.set(outdated)
    fixed = ".".join(map(str, WAL_RESET_FIXED))
    older = f"; older than {fixed}: let no other program write this database" if outdated else ""
    _log.info("store opened: sqlite %s, schema %d%s", sqlite3.sqlite_version, SCHEMA_VERSION, older)


def open_reader(path: Path, synchronous: str) -> Connection:
    """Open a connection that neither writes nor checkpoints. Raises ``StoreRefused``."""
    connection = open_connection(path, synchronous)
    cursor = driver(connection)
    cursor.execute("PRAGMA query_only = ON")
    cursor.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def open_connection(path: Path, synchronous: str) -> Connection:
    """Open a connection that keeps what it commits (P2). Raises ``StoreRefused``."""
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
                f"journal_size_limit = {WAL_LIMIT_BYTES}",
            ):
                connection.execute(f"PRAGMA {pragma}").fetchall()  # a change of the mode fails at its end
            check_pragmas(connection, synchronous)
        except BaseException:
            connection.close()
            raise

    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise StoreRefused(f"{path} is not a database of this service: {error.orig}") from None
    connection.info[DIALECT] = SqliteDialect(driver(connection))
    return connection


def _check_ours(path: Path, cursor: sqlite3.Connection) -> None:
    owner = cursor.execute("PRAGMA application_id").fetchone()[0]
    version = schema_of(cursor)
    empty = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not empty:
        raise StoreRefused(f"{path} belongs to another program; choose another data dir")
    if version > SCHEMA_VERSION:
        raise StoreRefused(
            f"{path} was written by a newer version (schema {version}, this server knows {SCHEMA_VERSION});"
            " run that version"
        )


def check_pragmas(cursor: sqlite3.Connection, synchronous: str) -> None:
    """Read back what makes commits durable (P2). Raises ``StoreRefused`` where it did not take."""
    journal = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    level = cursor.execute("PRAGMA synchronous").fetchone()[0]
    expected = {"FULL": 2, "NORMAL": 1, "OFF": 0}[synchronous]
    if journal != "wal" or level != expected:
        raise StoreRefused(
            f"the store needs WAL and synchronous {synchronous}, the file gives {journal} and {level}"
        )


def _fill(connection: Connection, cursor: sqlite3.Connection) -> None:
    cursor.execute("BEGIN IMMEDIATE")
    create_schema(connection)
    note_schema(connection, SCHEMA_VERSION, datetime.now(UTC))
    cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    cursor.execute("COMMIT")
