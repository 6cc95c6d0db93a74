"""The database file as an operator sees it, beside a server or without one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imageedit_server.store.database import StoreRefused
from imageedit_server.store.migrations import SCHEMA_VERSION, steps_from
from imageedit_server.store.restoring import COPIED
from imageedit_server.store.sqlite.copying import copy_database
from imageedit_server.store.sqlite.file import (
    DATABASE_NAME,
    LOCK_NAME,
    driver,
    looked_at,
    open_reader,
    schema_of,
)
from imageedit_server.store.tables import from_micros

_UNSOUND_LOGS = """
    SELECT task_id FROM task WHERE
        seq <> (SELECT coalesce(max(seq), 0) FROM task_event WHERE task_event.task = task.number)
        OR seq <> (SELECT count(*) FROM task_event WHERE task_event.task = task.number)
"""
PLACES_SINCE = 3
"""The schema since which the data know where they were served from."""
_SCHEMA_STEP = "SELECT time, version FROM schema_step WHERE number = ?"
_IMAGES = "SELECT image_id, max(size_bytes) FROM image GROUP BY image_id ORDER BY image_id"


class SqliteArchive:
    """The ``Archive`` of a data folder with one SQLite file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / DATABASE_NAME

    def exists(self) -> bool:
        return self._path.exists()

    def was_served(self) -> bool:
        return (self._folder / LOCK_NAME).exists()

    def schema(self) -> str:
        with self._reading() as cursor:
            schema = schema_of(cursor)
            if steps_from(schema):
                return f"It is {schema}; the next start takes it to {SCHEMA_VERSION}, with a copy first."
            [[micros, version]] = cursor.execute(_SCHEMA_STEP, [schema])
        return f"It is {schema}, since {from_micros(micros):%Y-%m-%d %H:%M} UTC and version {version}."

    def older_copies(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob(f"{DATABASE_NAME}.schema-*[0-9]"))

    def faults(self) -> list[str]:
        with self._reading() as cursor:
            faults = [
                f"The database is damaged: {row[0]}."
                for row in cursor.execute("PRAGMA integrity_check")
                if row[0] != "ok"
            ]
            faults += [
                f"A row of {row[0]} belongs to nothing." for row in cursor.execute("PRAGMA foreign_key_check")
            ]
            return faults + [f"The log of {row[0]} has a gap." for row in cursor.execute(_UNSOUND_LOGS)]

    def images(self) -> dict[str, int]:
        with self._reading() as cursor:
            return dict(cursor.execute(_IMAGES).fetchall())

    def copy_to(self, folder: Path) -> None:
        with self._reading() as cursor:
            knows_places = schema_of(cursor) >= PLACES_SINCE
            copy_database(cursor, folder / DATABASE_NAME, mark=_mark if knows_places else None)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self.exists():
            raise StoreRefused(f"{self._folder} holds no data of this service")
        with looked_at(self._path), closing(open_reader(self._path, "FULL")) as connection:
            try:
                yield driver(connection)
            except sqlite3.DatabaseError as error:
                raise StoreRefused(f"{self._path} is damaged: {error}") from None


def _mark(copy: sqlite3.Connection) -> None:
    """Let the first start on a copy know that it is one."""
    with copy:
        copy.execute("INSERT OR REPLACE INTO data_dir (number, lock_inode) VALUES (1, ?)", [COPIED])
